"""nginx, started by the tests on loopback with a prefix of its own, in front of servers of the kit."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostler_testkit.client import Peer, until

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
    """nginx in front of one server, with its files in the server's directory; `text` may be another configuration."""

    def __init__(self, server: Any, text: str = "") -> None:
        self.server = server
        self.directory: Path = server.directory
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        assert os.path.exists(binary), "nginx is needed: apt-get install nginx-light"
        self.port = free_port()
        host, port = server.addresses()[0]
        if not text:
            text = CONFIGURATION.format(self.directory, self.port, f"{host}:{port}", self.directory / "back")
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        text = text.replace("127.0.0.1:3031", f"{host}:{port}")
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
def nginx() -> Iterator[Callable[..., Nginx]]:
    """Start nginx before a server that runs: `nginx(server, text?)`."""
    started: list[Nginx] = []

    def start(server: Any, text: str = "") -> Nginx:
        started.append(Nginx(server, text))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def front(server: Any, nginx: Callable[..., Nginx]) -> Nginx:
    """A server with uWSGI listeners, over TCP and a Unix socket, and nginx before it."""
    made = server.make(graceful_timeout=20)
    made.write_configuration(bind=["uwsgi://127.0.0.1:0", f"uwsgi+unix:{made.directory}/back"])
    made.start()
    return nginx(made)
