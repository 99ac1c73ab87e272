"""A real server that is told to send metrics."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

SITE = """
import logging
def app(environ, start_response):
    logging.getLogger("gunicorn.error").info("", extra={"metric": "shop.orders", "value": 3, "mtype": "counter"})
    start_response("200 OK", [])
    return [b"x"]
"""


def test_a_server_sends_metrics(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(SITE)
    path = tmp_path / "s"
    statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    statsd.bind(("127.0.0.1", 0))
    statsd.settimeout(30)
    command = [sys.executable, "-m", "hostler", "-b", f"unix:{path}", "--no-control-socket"]
    command += ["--statsd-host", f"127.0.0.1:{statsd.getsockname()[1]}", "--statsd-prefix", "shop", "-w", "2"]
    environment = {**os.environ, "HOSTLER_CMD_ARGS": ""}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*command, "site_app:app"], cwd=tmp_path, stderr=log, env=environment)
    try:
        found: set[str] = set()

        def read_until(*wanted: str) -> None:
            deadline = time.monotonic() + 60
            while not found.issuperset(wanted):
                assert time.monotonic() < deadline, (found, (tmp_path / "log").read_text())
                found.update(statsd.recv(65536).decode().split("\n"))

        read_until("shop.gunicorn.workers:2|g")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while client.recv(65536):
                continue
        read_until(
            "shop.gunicorn.requests:1|c", "shop.gunicorn.request.status.200:1|c", "shop.shop.orders:3|c"
        )
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait()
        statsd.close()
