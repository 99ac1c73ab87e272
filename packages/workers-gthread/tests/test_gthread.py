"""The thread worker through the command line."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .conftest import until

WORKER = ("--worker-class", "gthread")

TOGETHER = """
import threading
barrier = threading.Barrier(4)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/together":
        barrier.wait(60)
    start_response("200 OK", [])
    return [threading.current_thread().name.encode(), b" ", str(environ["wsgi.multithread"]).encode()]
"""

GATE = """
import os, time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/held":
        open("entered", "w").close()
        while not os.path.exists("gate"):
            time.sleep(0.01)
    start_response("200 OK", [])
    return [b"through"]
"""


def test_requests_run_at_the_same_time(server: Any) -> None:
    """Four meet at a barrier."""
    running = server(TOGETHER, *WORKER, "--threads", "4")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: running.get("/together"), range(4)))
    assert [status for status, _ in answers] == [200] * 4
    assert len({body for _, body in answers}) == 4
    assert all(body.endswith(b" True") for _, body in answers)
    assert running.stop() == 0


def test_quick_requests_beside_a_held_one(server: Any) -> None:
    """Whoever leads the loop is relieved when its request does not end."""
    running = server(GATE, *WORKER, "--threads", "2")
    for _ in range(200):
        assert running.get() == (200, b"through")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(running.get, "/held")
        until((running.log_file.parent / "entered").exists, "the held request has begun")
        for _ in range(50):
            assert running.get() == (200, b"through")
        (running.log_file.parent / "gate").touch()
        assert held.result(60) == (200, b"through")
    assert running.stop() == 0


def test_request_that_waits_too_long_for_a_thread(server: Any) -> None:
    """503 with Retry-After, and the server goes on."""
    running = server(GATE, *WORKER, "--threads", "1", "--gthread-queue-wait", "0.2")
    directory = running.log_file.parent
    with ThreadPoolExecutor(8) as pool:
        # The first holds the only thread; of those that are accepted beside it each waits longer than it may.
        held = pool.submit(running.get, "/held")
        waiting = [pool.submit(running.get) for _ in range(7)]
        until((directory / "entered").exists, "the held request has begun")
        time.sleep(1.0)  # a wait in a queue is what is tested
        (directory / "gate").touch()
        assert held.result(60) == (200, b"through")
        assert {future.result(60)[0] for future in waiting} <= {200, 503}
    assert running.get() == (200, b"through")


def test_stuck_request_is_shown_with_its_stack(server: Any) -> None:
    """Beyond `timeout` the log says where exactly that thread is."""
    running = server(GATE, *WORKER, "--threads", "2", "--timeout", "3")
    directory = running.log_file.parent
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(running.get, "/held")
        until(lambda: "GET /held has run for" in running.log, "the report")
        assert "time.sleep(0.01)" in running.log
        (directory / "gate").touch()
        held.exception(60)


def test_own_setting_is_listed(server: Any) -> None:
    """The package's setting has its flag and is refused a bad value in one line."""
    del server
    answer = subprocess.run(
        [sys.executable, "-m", "hostler", *WORKER, "--gthread-queue-wait", "soon", "application:app"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode != 0
    assert "Traceback" not in answer.stderr
    assert "soon" in answer.stderr


def test_module_of_the_value_is_light() -> None:
    """Importing the package imports no loop."""
    code = "import sys, hostler_gthread; assert 'hostler.drive' not in sys.modules, 'heavy'"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
