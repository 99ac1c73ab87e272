"""The thread worker through the command line."""

from __future__ import annotations

import contextlib
import http.client
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

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

STUCK = """
import os, time

def wait():
    while not os.path.exists("gate"):
        time.sleep(0.01)

def is_stuck():
    wait()

def is_busy():
    wait()

def app(environ, start_response):
    path = environ["PATH_INFO"]
    open("in " + path.replace("/", "_"), "w").close()
    if path == "/stuck":
        is_stuck()
    elif path == "/other":
        is_busy()
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""
REPORT = re.compile(r"GET /stuck has run for .*?(?=\n\[|\Z)", re.DOTALL)


def test_requests_run_at_the_same_time(server: Any) -> None:
    """Four meet at a barrier."""
    running = server(TOGETHER, *WORKER, "--threads", "4")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: running.get("/together"), range(4)))
    assert [status for status, _ in answers] == [200] * 4
    assert len({body for _, body in answers}) == 4
    assert all(body.endswith(b" True") for _, body in answers)
    assert running.stop() == 0


def test_a_leader_counts_as_a_thread(server: Any) -> None:
    """As many slow requests as threads run at the same time, however much was quick before them."""
    running = server(TOGETHER, *WORKER, "--threads", "4")
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for _ in range(100):
                assert running.get()[0] == 200
            answers = list(pool.map(lambda _: running.get("/together"), range(4)))
            assert len({body for _, body in answers}) == 4
    assert running.stop() == 0
    # One that waits for ever would be told of, and the server would find a way out.
    assert "has run for" not in running.log_file.read_text()


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
    """503 with Retry-After for one behind the only thread's request, which goes on."""
    running = server(GATE, *WORKER, "--threads", "1", "--gthread-queue-wait", "0.2")
    directory = running.log_file.parent
    kept = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    with ThreadPoolExecutor(1) as pool, contextlib.closing(kept):
        kept.request("GET", "/")
        assert kept.getresponse().read() == b"through"
        held = pool.submit(running.get, "/held")
        until((directory / "entered").exists, "the held request has begun")
        kept.request("GET", "/")  # over a connection that the worker has, so it cannot wait in the backlog
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("Retry-After")) == (503, "1")
        assert not held.done()
        (directory / "gate").touch()
        assert held.result(60) == (200, b"through")
    assert running.get() == (200, b"through")


@pytest.mark.parametrize("returns", [True, False])
def test_request_beyond_its_deadline(server: Any, returns: bool) -> None:
    """The log says where exactly its thread is; the worker is replaced, and what it has in service may end."""
    patience = "60" if returns else "1"
    running = server(STUCK, *WORKER, "--threads", "2", "--timeout", "3", "--graceful-timeout", patience)
    directory = running.log_file.parent
    with ThreadPoolExecutor(2) as pool:
        old = running.get()
        stuck = pool.submit(running.get, "/stuck")
        until((directory / "in _stuck").exists, "a request that gets stuck")
        other = pool.submit(running.get, "/other")
        until((directory / "in _other").exists, "a request beside it")
        time.sleep(
            0.1
        )  # what runs for a moment only is not taken for held, and a new request would be queued behind it
        report = until(lambda: REPORT.search(running.log), "the report")[0]
        assert "is_stuck" in report
        assert "is_busy" not in report
        until(lambda: running.get() != old, "a new worker")
        if returns:
            (directory / "gate").touch()
            assert stuck.result(60) == other.result(60) == old
        else:
            assert stuck.exception(60) is not None
            assert other.exception(60) is not None
        until(lambda: not Path(f"/proc/{int(old[1])}").exists(), "the end of the old worker")
    assert running.stop() == 0


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
