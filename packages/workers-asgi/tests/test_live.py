"""The worker under the real command line: boot, signals, reload, TLS, Unix sockets, hooks."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as connect_in_loop
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_client

connect = functools.partial(connect_client, open_timeout=60, close_timeout=60)

DATA = Path(__file__).parent / "data"

SAY = """
import os

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # at once: others write to the same pipe
"""

APPLICATION = """
import asyncio, json

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            say(message["type"])
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                say("disconnect", message["code"])
                return
            await send({"type": "websocket.send", "text": scope["scheme"] + message["text"]})
    if scope["path"] == "/slow":
        say("slow")
        await asyncio.sleep(1)
    keep = {key: scope[key] for key in ("path", "scheme", "client", "server", "http_version", "root_path")}
    body = json.dumps({**keep, "tls": scope["extensions"].get("tls"), "pid": os.getpid()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

async def failing(scope, receive, send):
    await receive()
    say("boot")
    await send({"type": "lifespan.startup.failed", "message": "no database"})

def wsgi(environ, start_response):
    return []
"""

CONFIGURATION = """
def pre_request(worker, req):
    say("pre", req.method, req.path)

def post_request(worker, req, environ, resp):
    say("post", req.method, resp.status)
"""


class Server:
    def __init__(self, directory, *arguments, app="live_app:app"):
        (directory / "live_app.py").write_text(SAY + APPLICATION)
        command = [sys.executable, "-m", "hostler", "--worker-class", "asgi", "--no-control-socket"]
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*command, *arguments, app],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def wait_for(self, pattern, count=1, seconds=60):
        end = time.monotonic() + seconds
        while True:
            found = [match for line in list(self.lines) if (match := re.search(pattern, line))]
            if len(found) >= count:
                return found[count - 1]
            assert time.monotonic() < end, f"no line {pattern!r} in " + "\n".join(self.lines)
            assert self._reader.is_alive(), f"ended without {pattern!r}: " + "\n".join(self.lines)
            time.sleep(0.02)

    @property
    def address(self):
        match = self.wait_for(r"listening at https?://127\.0\.0\.1:(\d+)")
        self.wait_for(r"\bready\b")
        return "127.0.0.1", int(match[1])

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, seconds=60):
        code = self.process.wait(seconds)
        self._reader.join(60)
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)
        self._reader.join(60)
        self.process.stdout.close()


@pytest.fixture
def server(tmp_path):
    with contextlib.ExitStack() as stack:

        def start(*arguments, **options):
            if "--bind" not in arguments:
                arguments = ("--bind", "127.0.0.1:0", *arguments)
            running = Server(tmp_path, *arguments, **options)
            stack.callback(running.close)
            return running

        yield start


def get(address, path="/", context=None):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as plain:
        plain.settimeout(60)
        plain.connect(address)
        client = context.wrap_socket(plain, server_hostname="localhost") if context else plain
        with client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            answered = b""
            while data := client.recv(65536):
                answered += data
    return answered


def body(answered):
    import json

    return json.loads(answered.partition(b"\r\n\r\n")[2])


def test_boot_serve_stop(server):
    running = server()
    scope = body(get(running.address, "/a%20b"))
    assert (scope["path"], scope["scheme"], scope["http_version"]) == ("/a b", "http", "1.1")
    assert running.lines.count("lifespan.startup") == 1
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert running.lines.count("lifespan.shutdown") == 1


def test_term_finishes_a_request_and_says_goodbye_to_websockets(server):
    running = server()
    address = running.address
    answers = []
    with connect("ws://{}:{}/".format(*address)) as client:
        client.send("hello")
        assert client.recv() == "wshello"
        thread = threading.Thread(target=lambda: answers.append(get(address, "/slow")))
        thread.start()
        running.wait_for("^slow$")
        running.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(30)
        assert closed.value.rcvd.code == 1012
    thread.join(30)
    assert answers[0].startswith(b"HTTP/1.1 200 ")
    assert running.end() == 0
    assert "disconnect 1012" in running.lines


def test_int_is_quick(server):
    running = server()
    address = running.address
    with socket.create_connection(address, timeout=60) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        running.wait_for("^slow$")
        running.signal(signal.SIGINT)
        assert running.end() == 0
    assert not any("Traceback" in line for line in running.lines)


def test_a_reload_serves_on_with_new_workers(server):
    running = server()
    address = running.address
    before = body(get(address))["pid"]
    running.signal(signal.SIGHUP)
    running.wait_for("^lifespan.shutdown$")
    after = body(get(address))["pid"]
    assert before != after


def test_a_failed_startup_ends_the_server_once_with_its_message(server):
    running = server(app="live_app:failing")
    assert running.end() == 3
    assert any("startup failed: no database" in line for line in running.lines)
    assert running.lines.count("boot") <= 3


def test_a_wsgi_application_is_refused_with_the_workers_that_run_it(server):
    running = server(app="live_app:wsgi")
    assert running.end() == 4
    assert any("live_app.wsgi is a WSGI application" in line for line in running.lines)


def test_hooks_see_requests(server, tmp_path):
    (tmp_path / "conf.py").write_text(SAY + CONFIGURATION)
    running = server("--config", "conf.py")
    get(running.address, "/hooked")
    running.wait_for("^pre GET /hooked$")
    running.wait_for("^post GET 200")


def test_workers_are_replaced_after_max_requests(server):
    running = server("--max-requests", "5")
    address = running.address
    pids = set()
    end = time.monotonic() + 60
    while len(pids) < 2:
        pids.add(body(get(address))["pid"])
        assert time.monotonic() < end
    assert not any("Traceback" in line for line in running.lines)


def test_a_unix_socket(server, tmp_path):
    path = str(tmp_path / "s")
    running = server("--bind", f"unix:{path}")
    running.wait_for(r"\bready\b")
    scope = body(get(path))
    assert scope["server"] == [path, None]
    assert scope["client"] is None


def tls(client=False):
    context = ssl.create_default_context(cafile=str(DATA / "certificate.pem"))
    if client:
        context.load_cert_chain(DATA / "client.pem", DATA / "client-key.pem")
    return context


def secure(*more):
    return ("--certfile", str(DATA / "certificate.pem"), "--keyfile", str(DATA / "key.pem"), *more)


async def said_over_tls(url):
    # In one thread: the client of `websockets.sync` reads and writes one SSLSocket in two, and OpenSSL then loses
    # a request now and again.
    async with connect_in_loop(url, ssl=tls(), open_timeout=60, close_timeout=60) as client:
        await client.send("hello")
        said = await client.recv()
    client.transport.close()  # Python 3.10 takes one that its peer has ended for open
    return said


def test_tls(server):
    running = server(*secure())
    address = running.address
    scope = body(get(address, context=tls()))
    assert scope["scheme"] == "https"
    about = scope["tls"]
    assert set(about) == {
        "server_cert",
        "client_cert_chain",
        "client_cert_name",
        "client_cert_error",
        "tls_version",
        "cipher_suite",
    }
    assert about["tls_version"] == 0x0304
    assert about["cipher_suite"] in (0x1301, 0x1302, 0x1303)
    assert (about["client_cert_chain"], about["client_cert_name"]) == ([], None)
    sent = ssl.get_server_certificate(("localhost", address[1]), ca_certs=str(DATA / "certificate.pem"))
    assert about["server_cert"] == sent
    assert asyncio.run(said_over_tls(f"wss://localhost:{address[1]}/")) == "wsshello"
    with socket.create_connection(address, timeout=60) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP/1.1 200" not in plain.recv(1000)
    assert body(get(address, context=tls()))["scheme"] == "https"
    running.signal(signal.SIGTERM)
    assert running.end() == 0


def test_a_client_certificate_is_told(server):
    running = server(*secure("--ca-certs", str(DATA / "client.pem"), "--cert-reqs", "2"))
    about = body(get(running.address, context=tls(client=True)))["tls"]
    assert about["client_cert_name"] == "CN=client,O=Acme\\, Inc.,C=DE"
    assert about["client_cert_chain"][0].startswith("-----BEGIN CERTIFICATE-----")
    assert about["server_cert"].split() == (DATA / "certificate.pem").read_text().split()


def test_a_server_certificate_that_the_hook_may_have_chosen_is_not_claimed(server, tmp_path):
    hook = "def ssl_context(config, default):\n    return default()\n"
    (tmp_path / "hook.py").write_text(hook)
    running = server(*secure("-c", str(tmp_path / "hook.py")))
    assert body(get(running.address, context=tls()))["tls"]["server_cert"] is None


def test_a_silent_tls_client_costs_nobody_anything(server):
    running = server(*secure("--tls-handshake-timeout", "1"))
    address = running.address
    with socket.create_connection(address, timeout=60) as silent:
        end = time.monotonic() + 60
        while True:  # on a slow machine its own handshake may take longer than the server allows
            with contextlib.suppress(OSError):
                assert body(get(address, context=tls()))["scheme"] == "https"
                break
            assert time.monotonic() < end
        assert silent.recv(100) == b""
    running.wait_for("kind=tls_timeout")
