"""What services offer to each request, and what that may know of it: its head, and whether its client left."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

import pytest
from hostler._drive import Driver
from hostler._shared_drive import SharedDriver

from .conftest import PATIENCE, everything, until

GET = b"GET /there HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /there HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


class Offered:
    """One for each request."""

    def __init__(self, view: Any) -> None:
        self.view = view


def alone(context: Any, application: Any) -> Driver:
    context.offers = (("test.offered", Offered),)
    return Driver(context, application)


def threaded(context: Any, application: Any) -> SharedDriver:
    """A thread for each request."""
    context.offers = (("test.offered", Offered),)

    def start(exchange: Any) -> None:
        def run() -> None:
            exchange.run()
            driver.complete(exchange)

        threading.Thread(target=run, daemon=True).start()

    driver = SharedDriver(context, application, start)
    return driver


KINDS = pytest.mark.parametrize("make", [alone, threaded], ids=["one at a time", "threads"])


@KINDS
def test_each_request_has_its_own(serve: Any, make: Any) -> None:
    """Made of the request that finds it, for each one anew."""
    seen: list[Any] = []

    def application(environ: Any, start_response: Any) -> Any:
        offered = environ["test.offered"]
        seen.append((offered, offered.view.head.path, offered.view.departed()))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    running = serve(application, make)
    for _ in range(2):
        assert running.ask(LAST).endswith(b"hello")
    assert [(path, left) for _, path, left in seen] == [(b"/there", False)] * 2
    assert seen[0][0] is not seen[1][0]


def test_nothing_is_offered_by_default(serve: Any) -> None:
    """And nothing is done for it."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b",".join(key.encode() for key in environ)]

    running = serve(application)
    assert b"test.offered" not in running.ask(LAST)
    assert running.driver.application.begin is None


def close(peer: socket.socket) -> None:
    peer.close()


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@KINDS
@pytest.mark.parametrize("leave", [close, reset])
@pytest.mark.parametrize("said", [LAST, GET + LAST], ids=["plain", "with a request sent ahead"])
def test_a_client_that_leaves_is_seen(serve: Any, make: Any, leave: Any, said: bytes) -> None:
    """While the application runs, by whoever asks; and what the application makes of it is no error of the server's."""
    begun, stay, told = threading.Event(), threading.Event(), []

    def application(environ: Any, start_response: Any) -> Any:
        if told:
            start_response("200 OK", [])
            return [b"the one that was sent ahead"]
        view = environ["test.offered"].view
        told.append(view.departed())
        begun.set()
        assert stay.wait(PATIENCE)
        until(view.departed, "the client's end")
        told.append(view.departed())
        raise ConnectionAbortedError("the client left")

    running = serve(application, make)
    peer = running.connect()
    peer.sendall(said)
    assert begun.wait(PATIENCE)
    leave(peer)
    stay.set()
    until(lambda: running.context.answered, "the end of the request")
    assert told == [False, True]


def test_an_error_of_the_application_stays_one(serve: Any, caplog: Any) -> None:
    """An aborted connection of the application's own, while the client waits."""

    def application(environ: Any, start_response: Any) -> Any:
        raise ConnectionAbortedError("the database left")

    running = serve(application)
    assert running.ask(LAST).startswith(b"HTTP/1.1 500 ")
    until(lambda: "Error handling request GET /there" in caplog.text, "the line in the log")


def test_who_left_is_not_logged(serve: Any, caplog: Any) -> None:
    """An application that was told so, and says so."""
    begun = threading.Event()

    def application(environ: Any, start_response: Any) -> Any:
        begun.set()
        until(environ["test.offered"].view.departed, "the client's end")
        raise ConnectionAbortedError("the client left")

    running = serve(application, alone)
    with running.connect() as peer:
        peer.sendall(LAST)
        assert begun.wait(PATIENCE)
        peer.shutdown(socket.SHUT_WR)
        everything(peer)
    assert "Error handling request" not in caplog.text
