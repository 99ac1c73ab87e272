"""Every worker class as a caller of the pool, through the real command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import threading
import urllib.error
from pathlib import Path
from urllib.parse import quote

import pytest
from pool_server import wait_for

WORKERS = ["sync", "gthread", "gevent", "eventlet", "asgi"]

CALLERS = {
    "sync": ("blocking", "threads", "asyncio"),
    "gthread": ("blocking", "threads", "asyncio"),
    "gevent": ("blocking", "threads", "gevent", "native threads", "asyncio"),
    "eventlet": ("blocking", "threads", "eventlet"),
    "asgi": ("threads", "asyncio"),
}
"""Who may call the pool in a request of a worker class. Under gevent and eventlet `threads` are greenlets too."""


def call_in_every_way(server, worker):
    """Each kind of caller, some at the same time; each gets what is its own."""
    for kind in CALLERS[worker]:
        told = server.get(f"/callers?kind={quote(kind)}&n=6")
        assert json.loads(told) == [[number, 2] for number in range(6)], f"{worker}, {kind}"
    if worker == "asgi":
        assert "execute_async" in server.get("/callers?kind=blocking&n=1")


@pytest.mark.parametrize("worker", WORKERS)
def test_calls_streams_and_faults(serve, worker):
    server = serve(worker)
    assert server.get("/echo?v=hello") == '"hello"'
    assert server.get("/big") == "3000000"
    assert server.get("/words") == "".join(f"word {i} " for i in range(50))
    call_in_every_way(server, worker)
    odd, seen = [], []

    def load(base):
        for i in range(15):
            got = server.get(f"/echo?v={base}-{i}")
            (seen if got == f'"{base}-{i}"' else odd).append(got)

    threads = [threading.Thread(target=load, args=(base,)) for base in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not odd
    assert len(seen) == 90
    pid = int(server.get("/pid"))
    os.kill(pid, signal.SIGKILL)

    def another():
        with contextlib.suppress(urllib.error.HTTPError):
            return int(server.get("/pid")) != pid

    wait_for(another, "another dirty worker")
    status = server.ctl("status")
    assert status["slots"][0]["restarts"] == 1
    assert server.stop() == 0


@pytest.mark.parametrize("worker", ["sync", "asgi"])
def test_stop_waits_for_a_request_that_waits_for_the_pool(serve, worker, tmp_path):
    server = serve(worker)
    got, gate = [], tmp_path / "gate"
    thread = threading.Thread(target=lambda: got.append(server.get(f"/hold?gate={gate}")))
    thread.start()
    wait_for(lambda: server.ctl("status")["slots"][0]["running"], "the running call")
    server.process.terminate()
    wait_for(lambda: "stopping (graceful)" in server.log.read_text(), "the stop")
    gate.touch()
    assert server.process.wait(60) == 0
    thread.join()
    assert got == ['"rested"']


def test_a_client_that_leaves_interrupts_its_call(serve):
    server = serve("asgi")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /rest HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: server.ctl("status")["slots"][0]["running"], "the running call")
        # Gone, not half closed.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: server.get("/interrupted") == "1", "the interrupt")
    assert server.get("/echo?v=1") == '"1"'


def test_a_sync_worker_may_wait_longer_than_its_timeout(serve):
    server = serve("sync", "--timeout", "4")
    assert server.get("/nap?s=8") == '"rested"'


def test_hup_reloads_the_pool(serve):
    server = serve("gthread")
    pid = server.get("/pid")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.get("/pid") != pid, "the new generation")


@pytest.mark.parametrize("worker", ["sync", "asgi"])
def test_the_dirty_arbiter_may_die(serve, worker):
    server = serve(worker)
    assert server.get("/echo?v=1") == '"1"'
    os.kill(server.ctl("status")["pid"], signal.SIGKILL)
    assert server.get("/echo?v=2") == '"2"'
    assert server.stop() == 0


def test_nothing_is_left_when_the_main_arbiter_is_killed(serve):
    server = serve("sync", "--dirty-graceful-timeout", "3")
    status = server.ctl("status")
    pids = [status["pid"], status["slots"][0]["pid"]]
    server.process.kill()
    server.process.wait()

    def gone():
        return not any(
            Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()
            for pid in pids
        )

    wait_for(gone, "the end of every process")
