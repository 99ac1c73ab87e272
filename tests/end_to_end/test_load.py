"""Under the load of wrk: reloads lose nothing, a killed worker loses what it had in service and nothing else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from hostler_testkit import until

pytestmark = [pytest.mark.load, pytest.mark.needs("wrk")]

CONNECTIONS = 32
SECONDS = 20


@pytest.mark.parametrize("hostler_worker", ["sync", "gthread", "gevent", "asgi"], indirect=True)
def test_reloads_lose_nothing(server: Any, wrk: Callable[..., Any]) -> None:
    """A HUP every two seconds, and not one failed request."""
    running = server(workers=2, keepalive_requests=1000)
    reloads = [0]

    def reload() -> None:
        time.sleep(2)  # the pace of what is injected, no wait for a state
        running.send_signal(signal.SIGHUP)
        reloads[0] += 1

    load = wrk(running, seconds=SECONDS, connections=CONNECTIONS, during=reload)
    assert reloads[0] >= 5
    assert load.requests > 100
    assert (load.errors, load.refused) == (0, 0)


def test_killed_workers_lose_what_they_had(server: Any, wrk: Callable[..., Any]) -> None:
    """Half a minute with a HUP every two seconds and a worker killed every three: at most its connections fail."""
    running = server(workers=2)
    passed, kills = [0], [0]

    def disturb() -> None:
        time.sleep(1)  # the pace of what is injected, no wait for a state
        passed[0] += 1
        if passed[0] % 2 == 0:
            running.send_signal(signal.SIGHUP)
        if passed[0] % 3 == 0:
            children = until(running.children, "a worker")
            os.kill(children[0], signal.SIGKILL)
            kills[0] += 1

    load = wrk(running, seconds=30, connections=CONNECTIONS, during=disturb)
    assert kills[0] >= 5
    assert load.requests > 100
    assert load.refused == 0
    assert load.errors <= kills[0] * CONNECTIONS
    until(lambda: running.request().body == b"hello", "the server serves")
