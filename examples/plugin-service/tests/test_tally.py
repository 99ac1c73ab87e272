"""A real server with two workers and the service."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def until(done: Callable[[], Any], what: str) -> Any:
    limit = time.monotonic() + 30
    while not (found := done()):
        assert time.monotonic() < limit, what
        time.sleep(0.02)
    return found


def request(path: str) -> int:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(path)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b""
        while block := sock.recv(4096):
            text += block
    assert text.startswith(b"HTTP/1.1 200 "), text
    return int(text.partition(b"\r\n\r\n")[2])


def services(path: str) -> list[dict[str, Any]]:
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(path)
            sock.sendall(json.dumps({"command": "status"}).encode() + b"\n")
            text = b""
            while block := sock.recv(65536):
                text += block
        status = json.loads(text)["data"]
        return status["services"] if status["state"] == "serving" else []
    except (OSError, ValueError):
        return []


@pytest.fixture
def directory() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="tally-") as path:
        yield path


@pytest.fixture
def server(directory: str) -> Iterator[subprocess.Popen[bytes]]:
    configuration = Path(directory) / "conf.py"
    configuration.write_text("tally_names = ['hits']\n")
    command = [
        sys.executable,
        "-m",
        "hostler",
        "-c",
        str(configuration),
        "-w",
        "2",
        "-b",
        f"unix:{directory}/web",
    ]
    command += ["--control-socket", f"{directory}/ctl", "--chdir", str(HERE), "tallying:application"]
    process = subprocess.Popen(command, start_new_session=True, cwd=HERE)
    until(lambda: services(f"{directory}/ctl"), "the service")
    yield process
    process.poll()
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_counts_over_the_service_s_death_and_reload(server: subprocess.Popen[bytes], directory: str) -> None:
    """One counter for both workers; a killed service comes back with the same socket; HUP adds a counter."""
    path, ctl = f"{directory}/web", f"{directory}/ctl"
    assert [request(path) for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    (before,) = services(ctl)
    assert before["status"] == "1 counters"
    os.kill(before["pid"], signal.SIGKILL)
    # Asked while it is away: the question waits in the socket.
    assert request(path) == 1
    (after,) = until(
        lambda: [s for s in services(ctl) if s["state"] == "ready"], "another life of the service"
    )
    assert after["pid"] != before["pid"]
    (Path(directory) / "conf.py").write_text("tally_names = ['hits', 'errors']\n")
    server.send_signal(signal.SIGHUP)
    until(lambda: [s for s in services(ctl) if s["status"] == "2 counters"], "the second counter")
    assert request(path) == 2
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0
