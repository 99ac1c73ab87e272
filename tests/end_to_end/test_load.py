"""Under the load of wrk: reloads lose nothing, a killed worker loses what it had in service and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from hostler_testkit import Server, until

pytestmark = [pytest.mark.load, pytest.mark.needs("wrk")]

CONNECTIONS = 32
SECONDS = 20


def wrk(running: Server, during: Callable[[], None]) -> tuple[int, int, int]:
    """Requests, socket errors and answers that are no success, with something going on meanwhile."""
    tool = shutil.which("wrk")
    assert tool, "wrk is needed: apt-get install wrk"
    host, port = running.address
    command = [tool, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--timeout", "20s", f"http://{host}:{port}/"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            during()
        told = process.stdout.read() if process.stdout else ""
    requests = re.search(r"(\d+) requests in", told)
    assert requests is not None, told
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", told)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    return (
        int(requests[1]),
        sum(map(int, errors.groups())) if errors else 0,
        int(refused[1]) if refused else 0,
    )


@pytest.mark.parametrize("hostler_worker", ["sync", "gthread", "gevent", "asgi"], indirect=True)
def test_reloads_lose_nothing(server: Any) -> None:
    """A HUP every two seconds, and not one failed request."""
    running = server(workers=2, keepalive_requests=1000)
    reloads = [0]

    def reload() -> None:
        time.sleep(2)  # the pace of what is injected, no wait for a state
        running.send_signal(signal.SIGHUP)
        reloads[0] += 1

    requests, errors, refused = wrk(running, reload)
    assert reloads[0] >= 5
    assert requests > 100
    assert (errors, refused) == (0, 0)


def test_killed_workers_lose_what_they_had(server: Any) -> None:
    """A worker is killed every three seconds, with reloads between: at most its connections fail."""
    running = server(workers=2)
    kills = [0]

    def kill() -> None:
        time.sleep(3)  # the pace of what is injected, no wait for a state
        children = until(running.children, "a worker")
        os.kill(children[0], signal.SIGKILL)
        kills[0] += 1
        time.sleep(1)
        running.send_signal(signal.SIGHUP)

    requests, errors, refused = wrk(running, kill)
    assert kills[0] >= 3
    assert requests > 100
    assert refused == 0
    assert errors <= kills[0] * CONNECTIONS
    until(lambda: running.request().body == b"hello", "the server serves")
