"""Every worker class as a caller of the pool, through the real command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

SITE = Path(__file__).parent
PATIENCE = 30.0
WORKERS = ["sync", "gthread", "gevent", "asgi"]


def wait_for(condition, what):
    until = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < until, f"{what} did not come about"
        time.sleep(0.02)


class Server:
    """A server with a pool of two slots, one of which hosts the model."""

    def __init__(self, worker, directory, *more):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = directory / "log"
        app = "pool_site:asgi" if worker == "asgi" else "pool_site:wsgi"
        command = [
            sys.executable, "-m", "hostler", "-k", worker, "-w", "2", "-b", f"127.0.0.1:{self.port}",
            "--control-socket", str(directory / "ctl"), "--dirty-app", "pool_site:Model", "--dirty-workers", "2",
            "--chdir", str(SITE), *more, app,
        ]  # fmt: skip
        self.control = str(directory / "ctl")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self.up, "the server")

    def up(self):
        assert self.process.poll() is None, self.log.read_text()
        return "ready: 2 worker" in self.log.read_text()

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
            return answer.read().decode()

    def ctl(self, *words):
        done = subprocess.run(
            [sys.executable, "-m", "hostler", "ctl", "--control-socket", self.control, "--json", "dirty", *words],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return json.loads(done.stdout)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(worker, *more):
        server = Server(worker, tmp_path, *more)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()
        print(server.log.read_text())


@pytest.mark.parametrize("worker", WORKERS)
def test_calls_streams_and_faults(serve, worker):
    server = serve(worker)
    assert server.get("/echo?v=hello") == '"hello"'
    assert server.get("/big") == "3000000"
    assert server.get("/words") == "".join(f"word {i} " for i in range(50))
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
def test_stop_waits_for_a_request_that_waits_for_the_pool(serve, worker):
    server = serve(worker)
    got = []
    thread = threading.Thread(target=lambda: got.append(server.get("/nap?s=1.5")))
    thread.start()
    wait_for(lambda: server.ctl("status")["slots"][0]["running"], "the running call")
    assert server.stop() == 0
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
