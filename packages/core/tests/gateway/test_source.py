"""Connections of a gateway protocol, with a toy decoder: order, bodies, answers, deadlines, refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hostler.gateway import GatewayOpener
from hostler.http import DateLine, Gone, Limits, Opening, Policy, ProtocolError, Request, Transport, Waiting
from hostler.http1._connection import Http1Connection


class Toy:
    """`NNNN{json}`: four digits of length, then variables."""

    kind = "toy_bad"

    def size(self, data: bytes | bytearray) -> int | None:
        if data[:1] and not data[:1].isdigit():
            raise ProtocolError(0, self.kind, "no packet")
        return 4 + int(data[:4]) if len(data) >= 4 else None

    def variables(self, packet: bytes) -> dict[bytes, bytes]:
        return {name.encode(): value.encode() for name, value in json.loads(packet[4:]).items()}


def packet(**variables: str) -> bytes:
    body = json.dumps({"REQUEST_METHOD": "GET", "PATH_INFO": "/", **variables}).encode()
    return b"%04d%b" % (len(body), body)


def connect(peer: str = "127.0.0.1", kept: bool = False, unix: bool = False, **more: Any) -> Http1Connection:
    transport = Transport((peer, 5), ("127.0.0.1", 3031), unix=unix)
    shared = more.pop("shared", {"date": DateLine(lambda: 0)})
    connection = GatewayOpener("toy", Toy(), lambda own: kept).open(
        Opening(transport, Limits(), more.pop("policy", Policy()), shared=shared, **more)
    )
    assert isinstance(connection, Http1Connection)
    return connection


def out(connection: Http1Connection) -> bytes:
    return b"".join(connection.outgoing())


def test_an_answer_ends_the_connection() -> None:
    connection = connect()
    assert connection.waiting is Waiting.FIRST
    (request,) = connection.receive(packet())
    assert isinstance(request, Request)
    connection.inform(1, 103, ((b"Link", b"x"),))
    connection.start(1, 200, ((b"X", b"y"),), length=2)
    connection.data(1, b"ok")
    connection.end(1)
    assert out(connection) == (
        b"HTTP/1.1 200 OK\r\nX: y\r\nServer: hostler\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        b"Content-Length: 2\r\n\r\nok"
    )
    assert connection.closing
    assert not connection.abrupt


def test_unknown_length_is_ended_by_the_connection() -> None:
    connection = connect(kept=True)
    connection.receive(packet())
    connection.start(1, 200, ())
    connection.data(1, b"a")
    connection.data(1, b"b")
    connection.end(1)
    written = out(connection)
    assert written.endswith(b"\r\n\r\nab")
    assert b"chunked" not in written
    assert connection.closing


def test_kept_connections() -> None:
    connection = connect(kept=True)
    for stream in (1, 2, 3):
        (request,) = connection.receive(packet())
        assert request.stream == stream
        connection.start(stream, 200, (), length=0)
        connection.end(stream)
        assert not connection.closing
    assert connection.receive(packet()[:5]) == ()
    assert connection.waiting is Waiting.HEAD


def test_body_and_what_follows() -> None:
    connection = connect(kept=True)
    whole = packet(CONTENT_LENGTH="5", REQUEST_METHOD="POST") + b"hello" + packet(PATH_INFO="/2")
    events = connection.receive(whole)
    assert [type(event).__name__ for event in events] == ["Request", "Data", "End"]
    connection.start(1, 200, (), length=0)
    connection.end(1)
    assert connection.held
    (request,) = connection.resume()
    assert request.head.path == b"/2"


@pytest.mark.parametrize("octets", [packet(CONTENT_LENGTH="5", REQUEST_METHOD="POST") + b"hello"])
def test_splits(octets: bytes) -> None:
    for cut in range(1, len(octets)):
        connection = connect()
        events = [*connection.receive(octets[:cut]), *connection.receive(octets[cut:])]
        assert type(events[0]).__name__ == "Request"
        assert type(events[-1]).__name__ == "End"
        assert b"".join(event.block for event in events if hasattr(event, "block")) == b"hello"
    connection = connect()
    kinds = [type(e).__name__ for i in range(len(octets)) for e in connection.receive(octets[i : i + 1])]
    assert kinds == ["Request", "Data", "Data", "Data", "Data", "Data", "End"]


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n\r\n", b"x"])
def test_no_packet_is_closed_without_an_answer(octets: bytes) -> None:
    connection = connect()
    (gone,) = connection.receive(octets)
    assert (gone.stream, gone.kind) == (None, "toy_bad")
    assert connection.closing
    assert connection.abrupt
    assert out(connection) == b""


def test_bad_variables_are_answered() -> None:
    connection = connect()
    (gone,) = connection.receive(packet(CONTENT_LENGTH="x"))
    assert gone.kind == "bad_request"
    assert out(connection).startswith(b"HTTP/1.1 400 ")
    assert connection.closing


def test_slow_packet_and_slow_body() -> None:
    connection = connect()
    connection.receive(b"1")
    (gone,) = connection.expire()
    assert gone.kind == "toy_bad"
    assert out(connection) == b""
    connection = connect()
    connection.receive(packet(CONTENT_LENGTH="5"))
    (gone,) = connection.expire()
    assert gone.kind == "body_slow"
    assert out(connection).startswith(b"HTTP/1.1 408 ")


def test_cut_body() -> None:
    connection = connect()
    connection.receive(packet(CONTENT_LENGTH="5") + b"hel")
    (gone,) = connection.receive(b"")
    assert isinstance(gone, Gone)
    assert gone.stream == 1


@pytest.mark.parametrize(
    ("peer", "unix", "allow", "allowed"),
    [
        ("127.0.0.1", False, None, True),
        ("::1", False, None, True),
        ("", True, None, True),
        ("10.0.0.1", False, None, False),
        ("10.0.0.1", False, ("10.0.0.0/8",), True),
        ("", True, ("127.0.0.1",), True),
        ("10.0.0.1", False, ("*",), True),
    ],
)
def test_who_may_speak(peer: str, unix: bool, allow: tuple[str, ...] | None, allowed: bool) -> None:
    policy = Policy() if allow is None else Policy(gateway_allow=allow)
    connection = connect(peer, unix=unix, policy=policy)
    (event,) = connection.receive(packet())
    assert isinstance(event, Request if allowed else Gone)
    if not allowed:
        assert event.kind == "toy_forbidden"
        assert out(connection) == b""
        # Even a first octet is too much, and silence ends as any silence.
        assert connect(peer, policy=policy, unix=unix).receive(b"0")[0].kind == "toy_forbidden"
        waits = connect(peer, policy=policy, unix=unix)
        assert waits.expire()[0].kind == "idle_new"


def test_identical_packets_are_one_head() -> None:
    """From the second of them on: most packets never come again."""
    shared: dict[str, Any] = {}
    (first,) = connect(shared=shared).receive(packet())
    (second,) = connect(shared=shared).receive(packet())
    (third,) = connect(shared=shared).receive(packet())
    assert first.head is not second.head
    assert second.head is third.head
    largest = packet(A="x" * 5000)
    heads = [connect(shared=shared).receive(largest)[0].head for _ in range(3)]
    assert heads[0].variables["A"] == "x" * 5000
    assert len(set(map(id, heads))) == 3
    with_a_body = packet(CONTENT_LENGTH="1")
    connect(shared=shared).receive(with_a_body)
    (fourth,) = connect(shared=shared).receive(with_a_body)
    pieces = connect(shared=shared)
    pieces.receive(with_a_body[:9])
    (fifth,) = pieces.receive(with_a_body[9:])
    assert fourth.head is fifth.head


def test_the_store_of_packets_is_bounded() -> None:
    connection = connect(kept=True, max_requests=0)
    for number in range(3000):
        (request,) = connection.receive(packet(PATH_INFO=f"/{number // 2}"))
        connection.start(request.stream, 200, (), length=0)
        connection.end(request.stream)
    assert 0 < len(connection._known) <= 128


def test_a_refusal_refuses_whatever_is_asked() -> None:
    from hostler.gateway._source import Refusal

    refusal = Refusal("x")
    for ask in (refusal.begin, lambda: refusal.body(None)):  # type: ignore[arg-type]
        with pytest.raises(ProtocolError):
            ask()
