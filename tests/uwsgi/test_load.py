"""nginx and the uWSGI protocol under load: thousands of requests, and reloads among them, without an error."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import threading
import time
from typing import Any

import pytest
from hostler_testkit.client import until

pytestmark = [pytest.mark.load, pytest.mark.needs("nginx")]

WORKERS = ("sync", "gthread", "gevent", "asgi")


def wrk(url: str) -> tuple[int, str]:
    """Requests that were answered in two seconds, and what went wrong."""
    tool = shutil.which("wrk")
    assert tool, "wrk is needed: apt-get install wrk"
    command = [tool, "-t1", "-c32", "-d2s", "--timeout", "20s", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout
    requests = re.search(r"(\d+) requests in", told)
    assert requests is not None, told
    wrong = re.findall(r"Socket errors.*|Non-2xx.*", told)
    return int(requests[1]), "; ".join(wrong)


@pytest.mark.needs("wrk")
def test_ten_thousand_requests(front: Any) -> None:
    """By wrk, over TCP and over a Unix socket in turns, and not one error."""
    answered, turn, end = 0, 0, time.monotonic() + 300
    while answered < 10000 or turn < 2:
        assert time.monotonic() < end, f"{answered} requests in five minutes"
        path = "/over-unix/" if turn % 2 else "/"
        requests, wrong = wrk(f"http://127.0.0.1:{front.port}{path}")
        assert wrong == "", f"{wrong}; log:\n{front.server.log()}"
        answered += requests
        turn += 1
    assert "Traceback" not in front.server.log()


def test_reload_under_load(front: Any) -> None:
    """10,000 requests through nginx while the server reloads three times: none fails."""
    failures: list[str] = []
    done = threading.Event()
    served = [0] * 4

    def load(number: int) -> None:
        with front.connect() as peer:
            while served[number] < 2500 or not done.is_set():
                answer = peer.request("GET", "/")
                if (answer.status, answer.body) != (200, b"hello"):
                    failures.append(f"{answer.status} after {served[number]}")
                    return
                served[number] += 1

    threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 4):
        front.server.send_signal(signal.SIGHUP)
        until(lambda wanted=number + 1: f"generation {wanted}" in front.server.log(), "a new generation")
    done.set()
    for thread in threads:
        thread.join(120)
    assert failures == [], (front.directory / "nginx.log").read_text()
    assert sum(served) >= 10000
