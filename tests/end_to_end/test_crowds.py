"""A healthy client beside 1,000 connections that say nothing and 200 readers that hardly read.

What the crowd costs in time is for benchmarks/crowds.py; here nobody is kept waiting or sent away.
"""

from __future__ import annotations

import selectors
import socket
import threading
from typing import Any

import pytest

pytestmark = pytest.mark.load

SILENT, SLOW = 1000, 200
REQUESTS = 100
DEADLINE = 10.0
"""Seconds for one answer to the healthy client: far more than it takes, far less than the crowd stays."""


class Crowd:
    """The connections of a crowd; a thread reads a little from the slow ones now and then."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._dawdle)
        self.silent: list[socket.socket] = []
        self.slow: list[socket.socket] = []
        self.ended = 0
        """Slow readers that the server sent away."""

    def __enter__(self) -> Crowd:
        for _ in range(SILENT):
            self.silent.append(socket.create_connection(self._address, DEADLINE))
        for _ in range(SLOW):
            self.slow.append(self._slow_reader())
        for sock in (*self.silent, *self.slow):
            sock.setblocking(False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        if self._thread.is_alive():
            self._thread.join()
        for sock in (*self.silent, *self.slow):
            sock.close()

    def _slow_reader(self) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(60)
        sock.connect(self._address)
        sock.sendall(b"GET /stream?count=64&size=65536 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
        return sock

    def _dawdle(self) -> None:
        while not self._left.wait(0.5):
            for sock in self.slow:
                try:
                    self.ended += not sock.recv(2048)
                except BlockingIOError:
                    continue
                except OSError:
                    self.ended += 1

    def silent_ones_that_ended(self) -> int:
        """Silent connections with something to read, which can only be their end."""
        with selectors.DefaultSelector() as selector:
            for sock in self.silent:
                selector.register(sock, selectors.EVENT_READ)
            return len(selector.select(0))


def small_request(running: Any, peer: Any) -> None:
    """One request within the deadline."""
    peer.sock.settimeout(DEADLINE)
    answer = peer.request()
    assert (answer.status, answer.body) == (200, b"hello"), running.log()


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("hostler_worker", ["sync", "gthread", "gevent", "eventlet", "asgi"], indirect=True)
def test_a_healthy_client_in_a_crowd(server: Any, hostler_worker: str) -> None:
    """Half of its requests come over a connection that it keeps, half over new ones."""
    patient = dict.fromkeys(("first_byte_timeout", "write_timeout", "keepalive"), 300)
    threads = {"threads": 4} if hostler_worker == "gthread" else {}
    running = server(worker_connections=2000, write_min_rate=0, **patient, **threads)
    with running.connect() as kept, Crowd(running.address) as crowd:
        for _ in range(REQUESTS // 2):
            small_request(running, kept)
            with running.connect() as fresh:
                small_request(running, fresh)
        assert crowd.silent_ones_that_ended() == 0
        assert crowd.ended == 0
    with running.connect() as fresh:
        small_request(running, fresh)
    assert "Traceback" not in running.log()
    assert running.stop() == 0
