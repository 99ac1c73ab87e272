"""nginx speaks the uWSGI protocol to every worker: what browsers, uploads and reloads see through it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostler_testkit.client import Peer, until
from hostler_testkit.installed import installed_workers

pytestmark = pytest.mark.needs("nginx")

WORKERS = [name for name in (*installed_workers("wsgi"), *installed_workers("asgi")) if name != "eventlet"]

CONFIGURATION = """
daemon off; pid {0}/nginx.pid; error_log {0}/nginx.log warn; worker_processes 1;
events {{ worker_connections 512; }}
http {{
  access_log off; client_max_body_size 0; keepalive_requests 100000;
  client_body_temp_path {0}/body; uwsgi_temp_path {0}/uwsgi;
  proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi; scgi_temp_path {0}/scgi;
  server {{
    listen unix:{0}/front;
    listen 127.0.0.1:{1};
    uwsgi_buffering off;
    uwsgi_param QUERY_STRING $query_string;       uwsgi_param REQUEST_METHOD $request_method;
    uwsgi_param CONTENT_TYPE $content_type;       uwsgi_param CONTENT_LENGTH $content_length;
    uwsgi_param REQUEST_URI $request_uri;         uwsgi_param PATH_INFO $document_uri;
    uwsgi_param DOCUMENT_ROOT $document_root;     uwsgi_param SERVER_PROTOCOL $server_protocol;
    uwsgi_param REQUEST_SCHEME $scheme;           uwsgi_param HTTPS $https if_not_empty;
    uwsgi_param REMOTE_ADDR 192.0.2.7;            uwsgi_param REMOTE_PORT 4711;
    uwsgi_param SERVER_PORT 8080;                 uwsgi_param SERVER_NAME front.example;
    uwsgi_param MY_OWN added;                     uwsgi_param REMOTE_USER me;
    uwsgi_param UWSGI_FILE /etc/passwd;
    location / {{ uwsgi_pass {2}; }}
    location /unbuffered/ {{
      rewrite /unbuffered(/.*) $1 break; uwsgi_request_buffering off; uwsgi_pass {2};
    }}
    location /over-unix/ {{ rewrite /over-unix(/.*) $1 break; uwsgi_pass unix:{3}; }}
  }}
}}
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Nginx:
    """nginx in front of one server, with its files in the server's directory."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.directory: Path = server.directory
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        assert os.path.exists(binary), "nginx is needed: apt-get install nginx-light"
        self.port = free_port()
        host, port = server.addresses()[0]
        text = CONFIGURATION.format(self.directory, self.port, f"{host}:{port}", self.directory / "back")
        if os.geteuid() == 0:
            text = "user root;" + text
        (self.directory / "nginx.conf").write_text(text)
        self.process = subprocess.Popen(
            [binary, "-p", str(self.directory), "-c", "nginx.conf", "-e", str(self.directory / "nginx.log")],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self._listens, f"nginx; {self.directory}/nginx.log")

    def _listens(self) -> bool:
        assert self.process.poll() is None, (self.directory / "nginx.log").read_text()
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self) -> Peer:
        return Peer(socket.create_connection(("127.0.0.1", self.port), 60))

    def request(self, method: str = "GET", target: str = "/", **more: Any) -> Any:
        with self.connect() as peer:
            return peer.request(method, target, **more)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def front(server: Any, hostler_worker: str) -> Iterator[Nginx]:
    """A server with uWSGI listeners, over TCP and a Unix socket, and nginx before it."""
    made = server.make(graceful_timeout=20)
    made.write_configuration(bind=["uwsgi://127.0.0.1:0", f"uwsgi+unix:{made.directory}/back"])
    made.start()
    nginx = Nginx(made)
    yield nginx
    nginx.stop()


def test_requests_and_answers(front: Nginx) -> None:
    """Small ones, uploads with a length and in chunks, HEAD, streams, over TCP and over a Unix socket."""
    for prefix in ("", "/over-unix", "/unbuffered"):
        answer = front.request(target=prefix + "/")
        assert (answer.status, answer.body) == (200, b"hello")
        assert front.request("POST", prefix + "/echo", body=b"x" * 1000).body == b"x" * 1000
        assert front.request("POST", prefix + "/echo", body=b"").body == b""
        head = front.request("HEAD", prefix + "/")
        assert (head.status, head.get("content-length"), head.body) == (200, b"5", b"")
        streamed = front.request(target=prefix + "/stream?count=50&size=1000")
        assert len(streamed.body) == 50000
        assert len(front.request(target=prefix + "/big?size=3000000").body) == 3000000
    with front.connect() as peer:
        peer.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
            b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        )
        assert peer.answer().body == b"hello world"
    assert front.request(target="/hints").status == 200
    assert front.request(target="/fail").status == 500


def test_a_large_upload(front: Nginx) -> None:
    """64 MiB, buffered by nginx and not."""
    body = bytes(range(256)) * (64 * 4096)
    for prefix in ("", "/unbuffered"):
        assert front.request("POST", prefix + "/echo", body=body).body == body


def test_what_the_application_sees(front: Nginx, worker_value: Any) -> None:
    """The client is nginx's client; what the operator added is there; what could harm is not."""
    target = "/environ" if worker_value.interface == "wsgi" else "/scope"
    answer = front.request(
        target=target + "?a=b%20c", headers=[("X-Forwarded-For", "6.6.6.6"), ("Proxy", "x")]
    )
    seen = json.loads(answer.body)
    if worker_value.interface == "asgi":
        assert seen["client"] == ["192.0.2.7", 4711]
        assert seen["scheme"] == "http"
        assert seen["http_version"] == "1.1"
        return
    wanted = {
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "4711",
        "REMOTE_USER": "me",
        "SERVER_NAME": "front.example",
        "SERVER_PORT": "8080",
        "REQUEST_SCHEME": "http",
        "MY_OWN": "added",
        "PATH_INFO": "/environ",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "a=b%20c",
        "HTTP_X_FORWARDED_FOR": "6.6.6.6",
        "wsgi.url_scheme": "http",
    }
    assert {name: seen.get(name) for name in wanted} == wanted
    assert not {"HTTP_PROXY", "UWSGI_FILE", "HTTP_CONTENT_LENGTH"} & set(seen)


def test_clients_that_leave(front: Nginx) -> None:
    """Mid-upload and mid-download: the server goes on, and its answer's `close` is called."""
    for _ in range(5):
        with front.connect() as peer:
            peer.send(b"POST /unbuffered/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello")
    with front.connect() as peer:
        peer.send(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert peer.sock.recv(1000).startswith(b"HTTP/1.1 200 ")
    front.server.await_left("endless-closed")
    assert front.request(target="/").body == b"hello"
    assert front.request("POST", "/echo", body=b"again").body == b"again"
    assert "Traceback" not in front.server.log()


def test_malformed_packets(front: Nginx) -> None:
    """Closed without an answer, one line each in the log."""
    for octets in (b"GET / HTTP/1.1\r\n\r\n", b"\x05\x00\x00\x00", b"\x00\x03\x00\x00\x09\x00a"):
        with socket.create_connection(front.server.addresses()[0], 30) as sock:
            sock.sendall(octets)
            assert sock.recv(100) == b""
    until(lambda: front.server.log().count("uwsgi_bad") >= 3, f"three refusals; log:\n{front.server.log()}")
    assert "Traceback" not in front.server.log()
    assert front.request().status == 200


@pytest.mark.load
def test_reload_under_load(front: Nginx) -> None:
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
    assert failures == []
    assert sum(served) >= 10000
