"""Fixtures of the pool's tests; the pool itself is in `pool_harness`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the apps and the harness are modules of this directory

from hostler_dirty import get_dirty_client
from pool_callers import Looped
from pool_harness import Pool


@pytest.fixture
def make_pool(request):
    """A function that starts pools; all are ended after the test, and their log is shown if it failed."""
    pools = []

    def make(*apps, **settings):
        pool = Pool([f"pool_apps:{a}" for a in apps], **settings)
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        print(pool.logged())
        pool.close()


@pytest.fixture
def client():
    return get_dirty_client(60)


@pytest.fixture(params=["threads", "tasks"])
def caller(request):
    """A client of either kind: `execute`, `stream` and `options` as a blocking one has them."""
    if request.param == "threads":
        yield get_dirty_client(60)
    else:
        looped = Looped()
        yield looped
        looped.close()


@pytest.fixture(scope="module")
def echo_pool():
    """One pool with the app Echo for the tests of a module that leave nothing behind."""
    pool = Pool(["pool_apps:Echo"])
    yield pool
    pool.close()
