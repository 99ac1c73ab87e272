"""Workers that share a listener: a connection that one leaves in the backlog is taken by another that sleeps."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from hostler._bell import Bell
from hostler._shared_drive import SharedDriver

GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
NEVER = 3600.0
"""Instead of the half second after which a worker looks by itself."""


def hello(environ: Any, start_response: Any) -> list[bytes]:
    """The least that serves."""
    start_response("200 OK", [])
    return [b"hello"]


def one_of_several(bell: Bell, listening: socket.socket, *, full: bool) -> Callable[[Any, Any], SharedDriver]:
    """What makes the driver of a worker with a listener and a bell in common."""

    def make(context: Any, application: Any) -> SharedDriver:
        context.bell.close()
        context.bell = bell
        context.door.socket.close()
        context.door.socket = listening.dup()

        def run(exchange: Any) -> None:
            exchange.run()
            driver.complete(exchange)

        driver = SharedDriver(context, application, run)
        driver.saturated = lambda: full
        return driver

    return make


@pytest.mark.parametrize("order", [(True, False), (False, True), (True, False, True), (True, True, False)])
def test_connection_that_a_full_worker_leaves(
    serve: Any, monkeypatch: pytest.MonkeyPatch, order: tuple[bool, ...]
) -> None:
    """Whichever worker the kernel wakes, the one with room serves, though no other connection comes."""
    monkeypatch.setattr("hostler._drive.TICK", NEVER)
    monkeypatch.setattr("hostler._shared_drive.SATURATED", NEVER)
    bell = Bell()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        for full in order:
            serve(hello, one_of_several(bell, listening, full=full))
        with socket.create_connection(listening.getsockname(), 30) as peer:
            peer.sendall(GET)
            assert b"".join(iter(lambda: peer.recv(4096), b"")).endswith(b"\r\n\r\nhello")


def test_ring_is_heard_by_all() -> None:
    """Each watcher sees an edge for each ring, and nobody has to read it away."""
    bell = Bell()
    watchers = [select.epoll() for _ in range(3)]
    for watcher in watchers:
        watcher.register(bell.descriptor, select.EPOLLIN | select.EPOLLET)
        assert watcher.poll(0) == []
    for _ in range(2):
        bell.ring()
        assert [len(watcher.poll(0)) for watcher in watchers] == [1, 1, 1]
        assert [watcher.poll(0) for watcher in watchers] == [[], [], []]
    for watcher in watchers:
        watcher.close()


def test_what_the_backlog_held_at_the_end_has_time_to_speak(serve: Any) -> None:
    """A full worker that stops leaves its backlog to others for a second; whom it takes then is not ended unheard."""
    running = serve(hello, stopped)
    driver, context = running.driver, running.context
    began = time.monotonic()
    driver.open()
    context.stopping = "graceful"
    driver._stop(began)
    with running.connect() as peer:
        driver.now = began + 1.5
        driver._stop(driver.now)
        assert len(driver.members) == 1
        peer.sendall(GET)
        while not driver.finished():
            driver.turn()
        assert b"".join(iter(lambda: peer.recv(4096), b"")).endswith(b"\r\n\r\nhello")


def stopped(context: Any, application: Any) -> SharedDriver:
    """A driver without a free thread, which the test moves by hand instead of its thread."""

    def run(exchange: Any) -> None:
        exchange.run()
        driver.complete(exchange)

    driver = SharedDriver(context, application, run)
    driver.saturated = lambda: True
    driver.run = lambda: None  # type: ignore[method-assign]
    return driver
