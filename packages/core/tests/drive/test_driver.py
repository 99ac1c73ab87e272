"""The selector driver with real sockets: what it does with connections, not what the answers say."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import threading
import time
from typing import Any

import pytest
from hostler._shared_drive import SharedDriver

from .conftest import everything, until

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def hello(environ: Any, start_response: Any) -> Any:
    """The smallest application."""
    del environ
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def threaded(context: Any, application: Any) -> SharedDriver:
    """A thread for each request."""

    def start(exchange: Any) -> None:
        def run() -> None:
            exchange.run()
            driver.complete(exchange)

        threading.Thread(target=run, daemon=True).start()

    driver = SharedDriver(context, application, start)
    return driver


KINDS = pytest.mark.parametrize("make", [None, threaded], ids=["one at a time", "threads"])


def options(make: Any) -> dict[str, Any]:
    """What `serve` is to be told."""
    return {} if make is None else {"make": make}


@KINDS
def test_requests_in_a_row(serve: Any, make: Any) -> None:
    """Kept alive, then closed as asked."""
    running = serve(hello, **options(make))
    with running.connect() as peer:
        for _ in range(3):
            peer.sendall(GET)
            assert peer.recv(4096).endswith(b"\r\n\r\nhello")
        peer.sendall(LAST)
        assert everything(peer).endswith(b"hello")
    until(lambda: running.context.answered == 4, "four requests counted")
    assert [line[0] for line in running.context.log.lines] == ["GET"] * 4


@KINDS
def test_last_answer_arrives_whatever_its_client_sends_on(serve: Any, make: Any) -> None:
    """What lies unread at the close makes a reset of it, which must not overtake the answer."""
    entered, sent = threading.Event(), threading.Event()

    def wait(environ: Any, start_response: Any) -> Any:
        entered.set()
        assert sent.wait(30)
        return hello(environ, start_response)

    running = serve(wait, **options(make))
    for _ in range(20):
        entered.clear()
        sent.clear()
        with running.connect() as peer:
            peer.sendall(LAST)
            assert entered.wait(30)
            peer.sendall(GET)
            sent.set()
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while block := peer.recv(4096):
                    got += block
        assert got.endswith(b"\r\n\r\nhello")


@KINDS
def test_pipelined(serve: Any, make: Any) -> None:
    """All are answered, in order, however many come at once."""

    def echo(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode() + b"\n"]

    running = serve(echo, **options(make))
    asked = b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(200))
    seen = running.ask(asked + LAST)
    places = [seen.index(b"\r\n\r\n/%d\n" % n) for n in range(200)]
    assert places == sorted(places)


@KINDS
def test_half_closed_client_is_answered(serve: Any, make: Any) -> None:
    """The end of what it sends is not the end of what it reads."""
    running = serve(hello, **options(make))
    with running.connect() as peer:
        peer.sendall(GET)
        peer.shutdown(socket.SHUT_WR)
        assert everything(peer).endswith(b"hello")


@KINDS
def test_slow_reader_holds_nobody(serve: Any, make: Any) -> None:
    """A large streamed answer waits for its reader, while others are served; its generator then goes on."""
    closed = threading.Event()

    def large(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"] != "/large":
            return [b"hello"]

        def blocks() -> Any:
            try:
                for _ in range(300):
                    yield b"x" * 65536
            finally:
                closed.set()

        return blocks()

    running = serve(large, **options(make))
    with running.connect() as slow:
        slow.sendall(b"GET /large HTTP/1.0\r\n\r\n")
        assert slow.recv(10)
        for _ in range(5):
            assert running.ask(LAST).endswith(b"hello")
        assert not closed.is_set()
        assert len(everything(slow)) > 300 * 65536
        assert closed.wait(30)


@KINDS
def test_client_that_leaves_in_the_middle(serve: Any, make: Any) -> None:
    """Its generator is closed, its descriptor given back, and the server serves on."""
    closed = threading.Event()

    def endless(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"] != "/endless":
            return [b"hello"]

        def blocks() -> Any:
            try:
                while True:
                    yield b"x" * 65536
            finally:
                closed.set()

        return blocks()

    running = serve(endless, **options(make))
    peer = running.connect()
    peer.sendall(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
    assert peer.recv(10)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    assert closed.wait(30)
    assert running.ask(LAST).endswith(b"hello")
    until(lambda: not running.driver.members, "no connection left")


@KINDS
def test_write_callable_waits_for_its_reader(serve: Any, make: Any) -> None:
    """What `start_response` returned must not return before the reader took most of it."""

    def writes(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        for _ in range(100):
            write(b"y" * 65536)
        return []

    running = serve(writes, **options(make))
    assert running.ask(b"GET / HTTP/1.0\r\n\r\n").count(b"y") == 100 * 65536


@KINDS
def test_body_after_100_continue(serve: Any, make: Any) -> None:
    """The client is told to go on when the application reads, and not before."""
    entered, go = threading.Event(), threading.Event()

    def reads(environ: Any, start_response: Any) -> Any:
        entered.set()
        assert go.wait(30)
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [body]

    running = serve(reads, **options(make))
    with running.connect() as peer:
        peer.sendall(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert entered.wait(30)
        peer.settimeout(0.2)
        with pytest.raises(TimeoutError):
            peer.recv(1)
        peer.settimeout(30)
        go.set()
        assert peer.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(b"abcde")
        assert everything(peer).endswith(b"\r\n\r\nabcde")


@KINDS
def test_graceful_stop(serve: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections made before are answered, idle ones are closed, the loop ends."""
    monkeypatch.setattr("hostler._drive.LAST_WORD", 30.0)
    running = serve(hello, **options(make))
    with running.connect() as idle, running.connect() as fresh:
        idle.sendall(GET)
        assert idle.recv(4096)
        until(lambda: len(running.driver.members) == 2, "both accepted")
        running.context.stop()
        assert everything(idle) == b""
        fresh.sendall(GET)
        answer = everything(fresh)
        assert b"Connection: close" in answer
        assert answer.endswith(b"hello")
    running.thread.join(30)
    assert not running.thread.is_alive()


def test_connections_beyond_the_limit_wait(serve: Any) -> None:
    """They are served when others have gone; idle ones make room before."""
    running = serve(hello, worker_connections=2, keepalive=300)
    first, second = running.connect(), running.connect()
    with first, second:
        for peer in (first, second):
            peer.sendall(GET)
            assert peer.recv(4096)
        assert running.ask(LAST).endswith(b"hello")


def test_silent_connections_shut_nobody_out(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit those that have said nothing for a while make room, long before their deadline."""
    monkeypatch.setattr("hostler._drive.LAST_WORD", 0.0)
    running = serve(hello, worker_connections=3, first_byte_timeout=300)
    silent = [running.connect() for _ in range(3)]
    until(lambda: len(running.driver.members) >= 2, "the silent ones are in")
    assert running.ask(LAST).endswith(b"hello")
    for peer in silent:
        peer.close()


def test_silent_and_slow_clients_are_let_go(serve: Any) -> None:
    """Each with its deadline."""
    running = serve(hello, first_byte_timeout=1.5, header_timeout=1.5, keepalive=1.5, body_timeout=1.5)
    with running.connect() as silent:
        assert everything(silent) == b""
    with running.connect() as begun:
        begun.sendall(b"GET / HT")
        assert everything(begun).startswith(b"HTTP/1.1 408 ")
    with running.connect() as body:
        body.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\na")
        assert everything(body).startswith(b"HTTP/1.1 408 ")
    with running.connect() as idle:
        idle.sendall(GET)
        assert everything(idle).endswith(b"hello")


def test_reader_that_takes_nothing_is_let_go(serve: Any) -> None:
    """The answer does not wait for ever."""

    def large(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [b"x" * (8 << 20)]

    running = serve(large, write_timeout=0.5)
    with running.connect() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.sendall(GET)
        until(lambda: "write_slow" in running.context.log.refusals, "the refusal")
        until(lambda: not running.driver.members, "no connection left")


def test_out_of_descriptors(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An accept that fails for want of descriptors is a pause, and the next connections are served."""
    running = serve(hello)
    failures = iter([True, True])
    real = socket.socket.accept

    def accept(self: socket.socket) -> Any:
        if self is running.context.door.socket and next(failures, False):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    assert running.ask(LAST).endswith(b"hello")


def test_protocol_object_that_breaks_ends_its_connection_only(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of a plugin costs the connection."""
    running = serve(hello)
    real, broken = running.context.connect, [True]

    def connect(listener: Any, transport: Any) -> Any:
        connection = real(listener, transport)
        if broken:
            broken.clear()

            class Faulty:
                def __getattr__(self, name: str) -> Any:
                    if name == "receive":
                        raise RuntimeError("a fault")
                    return getattr(connection, name)

            return Faulty()
        return connection

    monkeypatch.setattr(running.context, "connect", connect)
    assert running.ask(GET) == b""
    assert running.ask(LAST).endswith(b"hello")


def test_worker_with_more_connections_leaves_new_ones_a_while(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are another's, unless that one does not come: it may be held by a request."""
    monkeypatch.setattr("hostler._accept.YIELD", 0.5)
    running = serve(hello, multiprocess=True)
    running.context.status.elsewhere = 0
    with running.connect() as first:
        first.sendall(GET)
        assert first.recv(4096)
        with running.connect() as second:
            second.sendall(LAST)
            second.settimeout(0.1)
            with pytest.raises(TimeoutError):
                second.recv(1)
            second.settimeout(30)
            assert everything(second).endswith(b"hello")


def test_slow_request_among_several_workers(serve: Any) -> None:
    """For a while its worker keeps no connection, so that nobody waits behind the next one; a quick one keeps all."""

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/slow":
            time.sleep(0.15)
        return hello(environ, start_response)

    running = serve(app, multiprocess=True)
    with running.connect() as peer:
        peer.sendall(GET)
        assert b"Connection: close" not in peer.recv(4096)
        peer.sendall(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        assert peer.recv(4096).endswith(b"hello")
        peer.sendall(GET)
        assert b"Connection: close" in everything(peer)


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_jumps(serve: Any, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    """The wall clock is for texts: no deadline comes nearer or goes away with it."""
    running = serve(hello, keepalive=60, header_timeout=60, first_byte_timeout=60)
    real = time.time
    with running.connect() as kept, running.connect() as begun:
        kept.sendall(GET)
        assert kept.recv(4096).endswith(b"hello")
        begun.sendall(GET[:10])
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        swept = running.driver._swept
        until(lambda: running.driver._swept > swept + 1.0, "the deadlines were looked at")
        begun.sendall(GET[10:])
        assert begun.recv(4096).endswith(b"hello")
        kept.sendall(GET)
        assert kept.recv(4096).endswith(b"hello")
