"""Limits and deadlines: each refusal has its status, its end of the connection and its line in the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from hostler_testkit.client import NoAnswer, message, until
from hostler_testkit.server import Server

Sites = Callable[..., Server]

SMALL = {
    "limit_request_line": 1000,
    "limit_request_field_size": 1000,
    "limit_request_fields": 20,
    "limit_request_head": 8000,
    "limit_request_body": 10000,
    "keepalive_requests": 20,
}
SHORT = {
    "first_byte_timeout": 2.0,
    "header_timeout": 2.0,
    "body_timeout": 2.0,
    "write_timeout": 2.0,
    "keepalive": 2.0,
}


@pytest.fixture
def small(sites: Sites) -> Server:
    """A server with small sizes."""
    return sites(**SMALL)


@pytest.fixture
def short(sites: Sites) -> Server:
    """A server with short deadlines."""
    return sites(**SHORT)


def fields(count: int, size: int = 10) -> list[tuple[str, str]]:
    """So many fields of such a size."""
    return [(f"X-{number}", "v" * size) for number in range(count)]


CHUNKED = [("Transfer-Encoding", "chunked")]


@pytest.mark.parametrize(
    ("status", "request_bytes"),
    [
        (414, message(target="/" + "a" * 1500)),
        (431, message(headers=[("X-Long", "v" * 1500)])),
        (431, message(headers=fields(30))),
        (431, message(headers=fields(15, 900))),
        (413, message("POST", "/echo", [("Content-Length", "10001")])),
        (413, message("POST", "/echo", CHUNKED) + b"2711\r\n" + b"x" * 10001 + b"\r\n0\r\n\r\n"),
        (400, b"\r\n\r\n\r\n\r\n" + message()),
        (400, message("POST", "/echo", CHUNKED) + b"1;" + b"e" * 400 + b"\r\nx\r\n0\r\n\r\n"),
        (400, message("POST", "/echo", CHUNKED) + (b"1;" + b"e" * 200 + b"\r\nx\r\n") * 100 + b"0\r\n\r\n"),
        (400, message("POST", "/echo", CHUNKED) + b"1" * 17 + b"\r\n"),
        (431, message("POST", "/echo", CHUNKED) + b"0\r\n" + b"X-T: 1\r\n" * 30 + b"\r\n"),
    ],
    ids=[
        "request line", "field", "field count", "head", "length", "chunked body", "empty lines",
        "chunk line", "chunk extensions", "chunk size", "trailers",
    ],
)  # fmt: skip
def test_sizes(small: Server, status: int, request_bytes: bytes) -> None:
    """The answer, then the end of the connection, and one line that says why."""
    with small.connect() as peer:
        peer.send_while_open(request_bytes)
        answer = peer.answer()
        accepted = {status, 400} if status == 431 and b"0\r\nX-T" in request_bytes else {status}
        assert answer.status in accepted
        assert answer.closing
        peer.rest()
    until(lambda: "refused kind=" in small.log(), "a line about the refusal")


@pytest.mark.parametrize(
    "request_bytes",
    [
        message(target="/none?" + "a" * 900),
        message(headers=[("X-Long", "v" * 900)]),
        message(headers=fields(19)),
        message("POST", "/echo", body=b"x" * 10000),
    ],
    ids=["request line", "field", "field count", "length"],
)
def test_within_the_sizes(small: Server, request_bytes: bytes) -> None:
    """A request just below the limit is served."""
    with small.connect() as peer:
        peer.send(request_bytes)
        assert peer.answer("POST" if request_bytes.startswith(b"POST") else "GET").status in (200, 404)


# -- deadlines -------------------------------------------------------------------------------------------


def test_silent_connection_is_closed_without_a_word(short: Server) -> None:
    """`first_byte_timeout`."""
    with short.connect() as peer:
        assert peer.rest() == b""


def test_unfinished_head_is_a_408(short: Server) -> None:
    """`header_timeout`, which drops of a head do not renew."""
    with short.connect() as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        answer = peer.answer()
        assert (answer.status, answer.closing) == (408, True)
        assert peer.rest() == b""
    with short.connect() as peer:
        dripped = 0
        peer.sock.settimeout(0.2)
        received = b""
        while not received and dripped < 300:
            peer.send_while_open(b"X: y\r\n" if dripped else b"GET / HTTP/1.1\r\n")
            dripped += 1
            try:
                received = peer.receive()
            except TimeoutError:
                continue
        assert received.startswith(b"HTTP/1.1 408 ") or peer.reset


def test_unfinished_body_is_a_408(short: Server) -> None:
    """`body_timeout`; the application never takes it for complete."""
    with short.connect() as peer:
        peer.send(message("POST", "/complete", [("Content-Length", "10")]) + b"12345")
        received = peer.rest()
    assert received == b"" or received.startswith(b"HTTP/1.1 408 ")
    assert short.left("complete") is None


def test_idle_connection_is_closed(short: Server) -> None:
    """`keepalive`: a plain end without an answer."""
    with short.connect() as peer:
        assert peer.request().body == b"hello"
        assert peer.rest() == b""
        assert not peer.reset


def test_slow_application_does_not_cost_the_connection(short: Server) -> None:
    """`keepalive` counts from the end of an answer, not from the last octet that came before it."""

    def kept(name: str) -> bool:
        with short.connect() as peer:
            peer.send(message(target=f"/gate?name={name}"))
            short.await_left(f"entered.{name}")
            time.sleep(3)  # longer than `keepalive`: the application is slow
            short.open_gate(name)
            assert peer.answer().body == b"through"
            time.sleep(0.6)  # a sweep over the deadlines has come by
            try:
                return peer.request().body == b"hello"
            except (NoAnswer, BrokenPipeError):
                return False

    # A machine that stands still here for the rest of `keepalive` has the connection closed rightly.
    assert any(kept(f"slow-{number}") for number in range(4))


def test_reader_that_takes_nothing_is_dropped(short: Server) -> None:
    """`write_timeout`: the answer is given up, `close` is called."""
    before = len(short.left("endless-closed") or "")
    with short.connect() as peer:
        peer.send(message(target="/endless"))
        assert peer.receive()
        until(lambda: len(short.left("endless-closed") or "") > before, "the end of the answer")
    assert short.request().status == 200


def test_last_request_of_a_connection_says_close(small: Server) -> None:
    """`keepalive_requests`, with a little jitter."""
    with small.connect() as peer:
        served = next(number for number in range(1, 100) if peer.request().closing)
        assert 15 <= served <= 25
        assert peer.rest() == b""


def test_connection_lifetime(server: Any) -> None:
    """`connection_lifetime`: an answer after it says close."""
    running = server(connection_lifetime=1.0)
    with running.connect() as peer:
        until(lambda: peer.request().closing, "an answer with `Connection: close`")
        assert peer.rest() == b""


def test_tls_handshake_deadline(server: Any, certificate: Any) -> None:
    """`tls_handshake_timeout`: a client that never says hello is closed, and holds up nobody."""
    running = server(tls_handshake_timeout=1.0, certfile=certificate.cert, keyfile=certificate.key)

    def served() -> bool:
        try:
            with running.connect(tls=certificate.client()) as peer:
                return bool(peer.request().body == b"hello")
        except (OSError, NoAnswer):
            return False  # on a busy machine a healthy client, too, may need longer than that

    with running.connect() as silent:
        until(served, "an answer to a healthy client")
        assert silent.rest() == b""


def test_lingering_close_lets_the_answer_through(small: Server) -> None:
    """A refused upload in full flow still reads its 413."""
    with small.connect() as peer:
        peer.send(message("POST", "/echo", [("Content-Length", "5000000")]))
        peer.send_while_open(b"x" * 60000)
        assert peer.answer().status == 413
