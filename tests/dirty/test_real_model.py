"""A real model in two of four dirty workers, called from two frameworks while its workers are killed."""

from __future__ import annotations

import pytest
from pool_clients import CALLERS
from pool_siege import SITES, besiege, percentile, serve

MEGA = 1 << 20


@pytest.fixture
def siege(request, tmp_path):
    """A function that starts the server of a worker class, besieges it and ends it; its log is shown on failure."""
    servers = []

    def run(worker, times, **seconds):
        server = serve(worker, tmp_path, times)
        servers.append(server)
        found = besiege(server, **seconds)
        assert server.stop() == 0
        return found

    yield run
    for server in servers:
        server.stop()
        print(server.log.read_text())


def judge(found):
    """Only calls on workers that were killed failed, each with the error that says so; two workers hold the model."""
    assert not found.odd
    assert found.right
    for failure in found.failed:
        assert failure["error"] == "DirtyWorkerError", failure
        assert (failure["details"]["slot"], failure["details"]["generation"]) in found.killed
    assert len(found.failed) <= CALLERS * len(found.killed)
    before, after = found.slots
    assert before == after
    assert len(after) == 2
    assert min(found.holding) > max(found.others) + 8 * MEGA


@pytest.mark.load
@pytest.mark.parametrize("worker", SITES)
def test_only_calls_on_killed_workers_fail(siege, worker):
    judge(siege(worker, 200, quiet=0.5, seconds=2.0, pause=0.7))


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("worker", SITES)
def test_only_calls_on_killed_workers_fail_for_a_minute(siege, worker):
    found = siege(worker, 2000, quiet=5.0, seconds=60.0, pause=5.0)
    judge(found)
    assert found.failed
    print(
        f"{found.right} calls, {len(found.failed)} failed of {len(found.killed)} kills; the plain route's p99:"
    )
    print(
        f"{percentile(found.quiet, 99):.1f} ms before, {percentile(found.loaded, 99):.1f} ms under this load"
    )
