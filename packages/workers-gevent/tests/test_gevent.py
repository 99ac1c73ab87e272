"""The gevent worker through the command line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .conftest import until

WORKER = ("--worker-class", "gevent")

TOGETHER = """
import socket
import gevent
import gevent.monkey
from gevent.event import Event

full, inside = Event(), []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/together":
        inside.append(1)
        if len(inside) == 100:
            full.set()
        full.wait(60)
    start_response("200 OK", [])
    return [str(gevent.monkey.is_module_patched("socket")).encode()]
"""

UPSTREAM = """
import socket, threading, time

def slow_upstream():
    door = socket.create_server(("127.0.0.1", 0), backlog=256)
    def answer(peer):
        peer.recv(4096)
        time.sleep(0.2)
        peer.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        peer.close()
    def serve():
        while True:
            peer, _ = door.accept()
            threading.Thread(target=answer, args=(peer,), daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    return door.getsockname()

address = slow_upstream()

def app(environ, start_response):
    import http.client
    upstream = http.client.HTTPConnection(*address, timeout=60)
    upstream.request("GET", "/")
    body = upstream.getresponse().read()
    upstream.close()
    start_response("200 OK", [])
    return [body]
"""

RAISES = """
import gevent

def app(environ, start_response):
    if environ["PATH_INFO"] == "/timeout":
        with gevent.Timeout(0.05):
            gevent.sleep(60)
    start_response("200 OK", [])
    return [b"ok"]
"""

LEAVES = """
import contextvars
import gevent

seen = contextvars.ContextVar("seen", default=0)
forgotten = []

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/leaves":
        forgotten.append(gevent.Timeout.start_new(0.02))
    elif path == "/waits":
        gevent.sleep(0.1)
    before = seen.get()
    seen.set(before + 1)
    start_response("200 OK", [])
    return [f"{before} {any(timer.pending for timer in forgotten)}".encode()]
"""


def test_a_hundred_requests_at_once(server: Any) -> None:
    """All are in the application at the same time, and the standard library is cooperative."""
    running = server(TOGETHER, *WORKER)
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: running.get("/together"), range(100)))
    assert set(answers) == {(200, b"True")}
    assert running.stop() == 0


def test_blocking_calls_to_an_upstream_overlap(server: Any) -> None:
    """An ordinary client inside the application yields to the others."""
    running = server(UPSTREAM, *WORKER)
    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(lambda _: running.get(), range(50))) == {(200, b"ok")}
    assert running.stop() == 0


def test_timeout_of_gevent_costs_its_request_only(server: Any) -> None:
    """It is no `Exception`, and ends nothing but the request all the same."""
    running = server(RAISES, *WORKER)
    assert running.get("/timeout")[0] == 500
    assert running.get() == (200, b"ok")
    assert running.stop() == 0


def test_what_a_request_leaves_in_its_greenlet(server: Any) -> None:
    """Its context is no other's, and a timer that it forgot does not end the loop."""
    running = server(LEAVES, *WORKER)
    for _ in range(3):
        for path in ("/", "/waits", "/"):
            assert running.get(path) == (200, b"0 False")
        assert running.get("/leaves")[0] == 200
        until(lambda: running.get() == (200, b"0 False"), "the forgotten timer's end")
    assert running.stop() == 0
    assert "gave no sign of life" not in running.log
    assert "exited with" not in running.log


def test_application_imported_before_the_patch(server: Any) -> None:
    """Preloading it says so in the log, and serves."""
    source = "import http.client, sys\nsys.modules.setdefault('requests', http.client)\n" + RAISES
    running = server(source, *WORKER, "--preload")
    assert running.get() == (200, b"ok")


def test_configuration_that_patches(server: Any, tmp_path: Path) -> None:
    """As users of gunicorn do: the arbiter goes on with its own loop, through a dead worker and a reload."""
    configuration = tmp_path / "patched.py"
    configuration.write_text("from gevent import monkey\n\nmonkey.patch_all()\npreload_app = True\n")
    running = server(TOGETHER, *WORKER, "-c", str(configuration))
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: running.get("/together"), range(100)))
    assert set(answers) == {(200, b"True")}
    worker = int(re.findall(r"pid=(\d+) started", running.log)[-1])
    os.kill(worker, signal.SIGKILL)
    until(lambda: running.log.count(" ready after") == 2, "another worker")
    assert running.get() == (200, b"True")
    running.process.send_signal(signal.SIGHUP)
    until(lambda: "reloaded: generation 2 serves" in running.log, "the reload")
    assert running.get() == (200, b"True")
    assert running.stop() == 0


def test_module_of_the_value_is_light() -> None:
    """Importing the package imports neither gevent nor the loop."""
    code = "import sys, hostler_gevent; assert not {'gevent', 'hostler.drive'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
