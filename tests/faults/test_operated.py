"""`hostler ctl` against real servers: what it shows, what it does, and clients that stall."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest
from hostler_testkit.client import until

WORKERS = ("sync",)


def ctl(found: Any, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hostler", "ctl", "--control-socket", f"{found.directory}/ctl", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def data(found: Any, *words: str) -> Any:
    done = ctl(found, "--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def operated(server: Any) -> Any:
    found = server.make(workers=2)
    found.write_configuration(control_socket=f"{found.directory}/ctl")
    found.start()
    until(lambda: data(found, "status")["ready"] == 2, "two workers")
    return found


def test_status_and_workers(operated: Any) -> None:
    for _ in range(3):
        assert operated.request().status == 200
    status = data(operated, "status")
    assert status["pid"] == operated.pid
    assert status["state"] == "serving"
    assert status["listeners"] == operated.urls()
    assert {worker["pid"] for worker in status["workers"]} == set(operated.children())
    until(lambda: sum(worker["requests"] for worker in data(operated, "workers")) == 3, "the count")
    shown = ctl(operated, "status")
    assert f"pid {operated.pid}, serving" in shown.stdout


def test_workers_come_and_go(operated: Any) -> None:
    assert data(operated, "add") == {"wanted": 3}
    until(lambda: data(operated, "status")["ready"] == 3, "three workers")
    assert data(operated, "remove", "2") == {"wanted": 1}
    until(lambda: len(operated.children()) == 1, "one worker")


def test_reload_waits_and_tells(operated: Any) -> None:
    before = set(operated.children())
    assert ctl(operated, "reload").returncode == 0
    until(lambda: not before & set(operated.children()), "new workers")
    operated.write_configuration(workers="many")
    failed = ctl(operated, "reload")
    assert failed.returncode == 1
    assert "workers" in failed.stderr
    assert "workers" in data(operated, "status")["reload"]
    assert operated.request().status == 200


def test_stacks_of_a_worker(operated: Any) -> None:
    pid = operated.children()[0]
    shown = ctl(operated, "stacks", str(pid))
    assert shown.returncode == 0, shown.stderr
    assert "most recent call first" in shown.stdout
    assert ctl(operated, "stacks", "1").returncode == 1


def test_stop(operated: Any) -> None:
    assert ctl(operated, "stop").returncode == 0
    assert operated.wait() == 0
    assert not os.path.exists(f"{operated.directory}/ctl")


def test_clients_that_stall_hold_up_nothing(operated: Any) -> None:
    """F-31: while they stall, a killed worker is replaced and an ordinary client is answered in the end."""
    stalled = []
    for number in range(20):
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            sock.connect(f"{operated.directory}/ctl")
            sock.send(b"x" * (number * 2000))
        except OSError:
            # The queue of connections is full, or this one was one too many.
            sock.close()
        else:
            stalled.append(sock)
    victim = operated.children()[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(operated.children()) == 2 and victim not in operated.children(), "the replacement")
    assert operated.request().status == 200
    until(lambda: ctl(operated, "status").returncode == 0, "an answer")
    for sock in stalled:
        sock.close()


def test_a_server_without_a_place_for_its_socket_runs(server: Any) -> None:
    found = server(environment={"HOME": "/", "XDG_RUNTIME_DIR": "/nonexistent"}, control_socket_disable=True)
    assert found.request().status == 200
