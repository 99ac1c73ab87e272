"""A driver in a thread of the test, with a real listener and the real protocol, and a context made by hand."""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostler._bell import Bell
from hostler.drive import Driver
from hostler.http import Connection, Limits, Opening, Policy, Transport
from hostler.http1._opening import open_connection
from hostler.settings import Settings

PATIENCE = 30.0


def until(reached: Callable[[], Any], what: str) -> Any:
    """Ask until it is true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = reached()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {PATIENCE:g} s: {what}")


class Door:
    """A listener."""

    scheme, unix, name, secure = "http", False, "http://test", False

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.socket.setblocking(False)
        self.address: tuple[str, int] = self.socket.getsockname()


class Log:
    """Keeps what it is told."""

    access_wanted = True

    def __init__(self) -> None:
        self.error = logging.getLogger("hostler.test.drive")
        self.lines: list[Any] = []
        self.refusals: list[str] = []

    def access(self, line: Any) -> None:
        self.lines.append((line.head.method, line.head.path, line.status, line.sent))

    def refused(self, kind: str, peer: Any, detail: str = "") -> None:
        del peer, detail
        self.refusals.append(kind)

    def flush(self) -> None:
        """Nothing is buffered."""


class Status:
    """Counters; `elsewhere` is what the other workers hold."""

    requests = active = connections = 0
    elsewhere = -1

    def fewest_elsewhere(self) -> int:
        return self.elsewhere


class Context:
    """A worker's context for one listener."""

    def __init__(self, application: Any, settings: Settings, multiprocess: bool) -> None:
        self.settings = settings
        self.application = application
        self.door = Door()
        self.listeners = [self.door]
        self.log = Log()
        self.wakeup, self._wake = os.pipe()
        self.stopping = ""
        self.multiprocess = multiprocess
        self.status = Status()
        self.bell = Bell()
        self.answered = 0
        self.stuck_reports: list[str] = []
        self._shared: dict[str, Any] = {}

    def load_app(self) -> Any:
        return self.application

    def ready(self) -> None:
        """Nobody waits for it."""

    def beat(self) -> None:
        """Nobody looks."""

    def turn(self) -> None:
        """Nothing comes by signal here."""

    def proxied(self, listener: Any) -> None:
        del listener

    def tls(self, listener: Any) -> None:
        del listener

    def served(self) -> None:
        self.answered += 1

    def stuck(self, report: str) -> None:
        self.stuck_reports.append(report)

    def connect(self, listener: Any, transport: Transport) -> Connection:
        del listener
        return open_connection(
            Opening(
                transport=transport, limits=Limits(), policy=Policy(), max_requests=0, shared=self._shared
            )
        )

    def stop(self, how: str = "graceful") -> None:
        self.stopping = how
        os.write(self._wake, b"!")

    def close(self) -> None:
        os.close(self.wakeup)
        os.close(self._wake)
        self.bell.close()


class Running:
    """A driver that serves until the test is over."""

    def __init__(self, context: Context, driver: Driver) -> None:
        self.context = context
        self.driver = driver
        self.thread = threading.Thread(target=driver.run, daemon=True)

    def connect(self) -> socket.socket:
        peer = socket.create_connection(self.context.door.address, timeout=PATIENCE)
        peer.settimeout(PATIENCE)
        return peer

    def ask(self, data: bytes) -> bytes:
        """Send, and read until the server closes."""
        with self.connect() as peer:
            peer.sendall(data)
            return everything(peer)


def everything(peer: socket.socket) -> bytes:
    """All that comes until the end."""
    seen = []
    while block := peer.recv(65536):
        seen.append(block)
    return b"".join(seen)


@pytest.fixture
def serve() -> Iterator[Any]:
    """`serve(application, **settings)`: a running one-at-a-time driver."""
    running: list[Running] = []

    def start(
        application: Any, make: Any = Driver, *, multiprocess: bool = False, **settings: Any
    ) -> Running:
        context = Context(application, dataclasses.replace(Settings(), **settings), multiprocess)
        one = Running(context, make(context, application))
        one.thread.start()
        running.append(one)
        return one

    yield start
    for one in running:
        one.context.stop("quick")
        one.thread.join(PATIENCE)
        assert not one.thread.is_alive()
        one.context.close()
