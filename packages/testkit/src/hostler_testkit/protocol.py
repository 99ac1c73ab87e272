"""What any protocol must do, asked of its connections without a socket.

A protocol is given octets of clients (`vectors`), whole, split and cut, and is driven as a worker would do it.
Each check raises an AssertionError that says for which vector and where. Nothing here knows a protocol's own
rules: what the octets mean is compared with itself, never with an expectation.
"""

from __future__ import annotations

import importlib
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

from hostler.plugin import (
    Connection,
    Data,
    End,
    Event,
    Gone,
    Limits,
    Opening,
    Policy,
    ProtocolType,
    Request,
    ResponseError,
    Switch,
    Transport,
)

from hostler_testkit.corpus import cases

Vectors = dict[str, bytes]
Seen = list[tuple[Any, ...]]


def opener(value: ProtocolType) -> Callable[[Opening], Connection]:
    """The function behind `ProtocolType.open`."""
    module, _, attribute = value.open.partition(":")
    found: Callable[[Opening], Connection] = getattr(importlib.import_module(module), attribute)
    return found


def opening(value: ProtocolType) -> Opening:
    """An opening from a trusted peer with ordinary limits and the plugin's own default settings."""
    transport = Transport(peer=("127.0.0.1", 40000), local=("127.0.0.1", 8000))
    own = value.settings() if value.settings is not None else None
    return Opening(transport=transport, limits=Limits(), policy=Policy(), settings=own)


class Drive:
    """One connection, driven as a worker does: credit is given, every complete request is answered."""

    def __init__(self, value: ProtocolType, answering: bool = True) -> None:
        self.connection = opener(value)(opening(value))
        self.answering = answering
        self.seen: Seen = []
        self.requests: list[int] = []
        self.written: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Bytes of the peer, unless the connection has no use for them."""
        if not self.connection.closing:
            self.take(self.connection.receive(data))

    def take(self, events: Sequence[Event]) -> None:
        """Note events and act on them, until the connection has nothing kept back."""
        for event in events:
            self._note(event)
        while self.connection.held and not self.connection.closing:
            for event in self.connection.resume():
                self._note(event)
        self.written += self.connection.outgoing()

    def _note(self, event: Event) -> None:
        if isinstance(event, Request):
            head = event.head
            self.seen.append(
                ("request", event.stream, head.method, head.target, head.headers, head.http_version)
            )
            self.requests.append(event.stream)
            if event.ended:
                self._answer(event.stream)
        elif isinstance(event, Data):
            last = self.seen[-1] if self.seen else ()
            if last[:2] == ("data", event.stream):
                self.seen[-1] = ("data", event.stream, last[2] + event.block)
            else:
                self.seen.append(("data", event.stream, event.block))
            self.connection.taken(event.stream, len(event.block))
        elif isinstance(event, End):
            self.seen.append(("end", event.stream, tuple(event.trailers)))
            self._answer(event.stream)
        elif isinstance(event, Gone):
            self.seen.append(("gone", event.stream, event.kind))
        elif isinstance(event, Switch):
            self.connection = event.connection
            self.take(event.events)

    def _answer(self, stream: int) -> None:
        if self.answering:
            self.connection.start(stream, 200, ((b"X-Kit", b"yes"),), length=5)
            self.connection.data(stream, b"hello")
            self.connection.end(stream)


def driven(value: ProtocolType, pieces: Sequence[bytes]) -> Drive:
    """A fresh connection after these pieces."""
    drive = Drive(value)
    for piece in pieces:
        drive.feed(piece)
    return drive


def told(drive: Drive) -> Seen:
    """What was told, without the part of a body whose rest never came: how much of it is told is open."""
    lost = {item[1] for item in drive.seen if item[0] == "gone"}
    return [item for item in drive.seen if item[0] != "data" or not lost & {item[1], None}]


# -- the checks ------------------------------------------------------------------------------------------


def check_split(value: ProtocolType, name: str, octets: bytes) -> None:
    """Byte by byte, in halves at every place and in random pieces: the same events, the same end."""
    whole = driven(value, [octets])
    chance = random.Random(name)
    ways = [[octets[at : at + 1] for at in range(len(octets))]]
    ways += [[octets[:at], octets[at:]] for at in range(1, len(octets), 1 + len(octets) // 200)]
    for _ in range(10):
        cuts = sorted(chance.randrange(len(octets) + 1) for _ in range(4))
        ways.append([octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True)])
    for pieces in ways:
        split = driven(value, [piece for piece in pieces if piece])
        sizes = [len(piece) for piece in pieces][:20]
        assert told(split) == told(whole), f"{name}: in pieces of {sizes} other events than whole"
        assert split.connection.closing == whole.connection.closing, (
            f"{name}: in pieces of {sizes} another end"
        )


def check_cut(value: ProtocolType, name: str, octets: bytes) -> None:
    """The peer's end at every place: nothing raises, and a request that was begun is never told complete."""
    whole = driven(value, [octets]).seen
    for at in range(0, len(octets), 1 + len(octets) // 300):
        drive = driven(value, [octets[:at]])
        drive.feed(b"")
        got = [item for item in drive.seen if item[0] in ("request", "end")]
        wanted = [item for item in whole if item[0] in ("request", "end")]
        assert got == wanted[: len(got)], f"{name}: cut at {at}, more is told complete than was sent"


def check_garbage(value: ProtocolType, name: str, octets: bytes) -> None:
    """Octets changed, dropped and doubled by chance: `receive` raises nothing, and the end is an end."""
    chance = random.Random(name)
    for _ in range(200):
        changed = bytearray(octets)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(changed) + 1)
            kind = chance.randrange(3)
            if kind == 0 and at < len(changed):
                changed[at] = chance.randrange(256)
            elif kind == 1:
                del changed[at : at + chance.randint(1, 5)]
            else:
                changed[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 5)))
        drive = driven(value, [bytes(changed)] if changed else [])
        drive.feed(b"")
        if drive.connection.closing:
            before = list(drive.seen)
            drive.take(drive.connection.receive(octets))
            assert drive.seen == before, f"{name}: events after the end, for {bytes(changed)!r}"


def check_expire(value: ProtocolType, name: str, octets: bytes) -> None:
    """A deadline at every place: nothing raises, and a connection that waited for its peer comes to an end."""
    for at in range(0, len(octets) + 1, 1 + len(octets) // 300):
        drive = driven(value, [octets[:at]] if at else [])
        for _ in range(8):  # a multiplexed connection may say goodbye first
            if drive.connection.closing or drive.connection.waiting.name == "NOTHING":
                break
            drive.take(drive.connection.expire())
        waiting = drive.connection.waiting.name
        assert drive.connection.closing or waiting == "NOTHING", (
            f"{name}: at {at} still {waiting} after its deadline"
        )


def check_drain(value: ProtocolType, name: str, octets: bytes) -> None:
    """A graceful stop at every place: nothing raises, a request in service is still answered."""
    for at in range(0, len(octets) + 1, 1 + len(octets) // 300):
        drive = driven(value, [octets[:at]] if at else [])
        drive.connection.drain()
        drive.written += drive.connection.outgoing()
        drive.feed(octets[at:])
        drive.feed(b"")


def check_answers(value: ProtocolType, name: str, octets: bytes) -> None:
    """Mistakes of an application are errors of the call, and leave the answer possible."""
    drive = Drive(value, answering=False)
    drive.feed(octets)
    if not drive.requests or drive.connection.closing:
        return
    connection, stream = drive.connection, drive.requests[0]

    def start(name: bytes, field: bytes) -> Callable[[], None]:
        return lambda: connection.start(stream, 200, ((name, field),), length=0)

    for bad in (b"a\r\nb: c", b"a\nb", b"a\rb", b"a\0b"):
        expect_error(start(b"X-Bad", bad), f"{name}: the value {bad!r}")
        expect_error(start(bad, b"x"), f"{name}: the name {bad!r}")
    connection.outgoing()
    connection.start(stream, 200, ((b"X-Good", b"yes"),), length=5)
    expect_error(lambda: connection.start(stream, 200, (), length=0), f"{name}: a second start")
    connection.data(stream, b"hello")
    connection.end(stream)
    written = connection.outgoing()
    assert b"".join(written), f"{name}: an answer writes something"
    assert connection.outgoing() == [], f"{name}: `outgoing` empties the queue"
    assert all(isinstance(block, (bytes, bytearray, memoryview)) for block in written)


def check_whole(value: ProtocolType, name: str, octets: bytes) -> None:
    """`respond` leaves the connection where `start`, `data` and `end` leave it, and writes as many octets."""
    whole, parts = Drive(value, answering=False), Drive(value, answering=False)
    for drive in (whole, parts):
        drive.feed(octets)
    if not parts.requests or parts.connection.closing:
        return
    stream, fields = parts.requests[0], ((b"X-Kit", b"yes"), (b"Date", b"Sun, 06 Nov 1994 08:49:37 GMT"))
    parts.connection.start(stream, 200, fields, length=5)
    parts.connection.data(stream, b"hello")
    parts.connection.end(stream)
    whole.connection.respond(stream, 200, fields, b"hello", b"")
    for drive in (whole, parts):
        drive.take(())
    assert b"".join(whole.written) == b"".join(parts.written), (
        f"{name}: `respond` writes what its parts write"
    )
    assert whole.connection.waiting is parts.connection.waiting, f"{name}: waiting after `respond`"
    assert whole.connection.closing == parts.connection.closing, f"{name}: closing after `respond`"
    assert whole.seen == parts.seen, f"{name}: what is told after `respond`"


def expect_error(call: Callable[[], None], what: str) -> None:
    """The call raises `ResponseError`."""
    try:
        call()
    except ResponseError:
        return
    raise AssertionError(f"{what} is not refused")


CHECKS: dict[str, Callable[[ProtocolType, str, bytes], None]] = {
    "split": check_split,
    "cut": check_cut,
    "garbage": check_garbage,
    "expire": check_expire,
    "drain": check_drain,
    "answers": check_answers,
    "whole": check_whole,
}


def check_protocol(value: ProtocolType, vectors: Vectors) -> None:
    """All checks with all vectors; the first failure is raised."""
    for check in CHECKS.values():
        for name, octets in vectors.items():
            check(value, name, octets)


# -- octets of clients -----------------------------------------------------------------------------------


def vectors_for(name: str) -> Vectors:
    """What the kit knows to say in a protocol; empty for one that it does not know."""
    makers = {"http1": http1_vectors, "http2": http2_vectors, "uwsgi": uwsgi_vectors}
    return makers[name]() if name in makers else {}


def http1_vectors() -> Vectors:
    """The corpus."""
    return {case.name: case.octets for case in cases()}


def uwsgi_vectors() -> Vectors:
    """Packets as nginx sends them, and broken ones."""

    def packet(variables: dict[str, str], body: bytes = b"", modifier: int = 0) -> bytes:
        texts = [text.encode() for pair in variables.items() for text in pair]
        block = b"".join(struct.pack("<H", len(text)) + text for text in texts)
        return struct.pack("<BHB", modifier, len(block), 0) + block + body

    get = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/a?b", "PATH_INFO": "/a", "QUERY_STRING": "b"}
    get |= {"SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "a", "CONTENT_LENGTH": "", "REMOTE_ADDR": "192.0.2.1"}
    post = get | {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "5"}
    return {
        "get": packet(get),
        "post": packet(post, b"hello"),
        "bad modifier": packet(get, modifier=9),
        "bad length": packet(get | {"CONTENT_LENGTH": "+5"}, b"hello"),
        "no method": packet({"PATH_INFO": "/"}),
        "empty": packet({}),
    }


def http2_vectors() -> Vectors:
    """What an h2 client sends; empty without the h2 package."""
    try:
        h2 = importlib.import_module("h2.connection")
    except ImportError:
        return {}
    head = [(":method", "GET"), (":path", "/a?b"), (":scheme", "http"), (":authority", "a"), ("x-a", "b")]
    vectors: Vectors = {}
    for name, bodies in {"get": [b""], "post": [b"hello" * 100], "two": [b"", b"world"]}.items():
        client = h2.H2Connection()
        client.initiate_connection()
        for number, body in enumerate(bodies):
            client.send_headers(1 + 2 * number, head, end_stream=not body)
            if body:
                client.send_data(1 + 2 * number, body, end_stream=True)
        vectors[name] = client.data_to_send()
    return vectors
