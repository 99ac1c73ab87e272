"""What holds for any bytes: splits change nothing, nothing escapes, answers parse back, and work is linear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h11
import pytest
from hostler.http import Limits, ResponseError
from hostler.http1._body import ChunkedBody
from http1_corpus import Play, cases, connect, in_pieces
from hypothesis import example, given, settings
from hypothesis import strategies as st

SEEDS = [case.octets for case in cases() if len(case.octets) < 600]
WORDS = [
    b"GET / HTTP/1.1\r\n",
    b"POST /a HTTP/1.1\r\n",
    b"HEAD * HTTP/1.0\r\n",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"X-A: b\r\n",
    b"\r\n",
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"\r",
    b"\n",
    b" ",
    b":",
    b"\0",
    b";",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    octets = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(octets)))
        change = draw(st.sampled_from(("put", "drop", "word")))
        if change == "put":
            octets[place:place] = draw(st.binary(min_size=1, max_size=2))
        elif change == "drop":
            del octets[place : place + draw(st.integers(1, 4))]
        else:
            octets[place:place] = draw(st.sampled_from(WORDS))
    return bytes(octets)


streams = st.one_of(
    mutated(), st.lists(st.sampled_from(WORDS), max_size=24).map(b"".join), st.binary(max_size=80)
)


@settings(max_examples=200, deadline=None)
@given(streams, st.lists(st.integers(0, 600), max_size=8), st.booleans())
@example(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", [1], False)
@example(b"\r\r\n", [1], True)
def test_any_split_is_the_same(octets: bytes, cuts: list[int], ends: bool) -> None:
    limits = Limits(
        request_line=60, field=60, fields=6, head=200, body=40, chunk_line=20, chunk_extensions=30
    )

    def play(pieces: list[bytes]) -> tuple[Any, ...]:
        played = Play(connect(limits=limits)).feed(pieces)
        if ends and not played.connection.closing:
            played.take(played.connection.receive(b""))
        return played.seen()

    places = sorted({cut for cut in cuts if 0 < cut < len(octets)})
    pieces = [octets[a:b] for a, b in zip([0, *places], [*places, len(octets)], strict=True)]
    pieces = [piece for piece in pieces if piece]
    assert play(pieces) == play([octets] if octets else []) == play(in_pieces(octets, 1))


names = st.text("abcXYZ-_.!~9", min_size=1, max_size=8).map(str.encode)
values = st.text(st.characters(codec="latin-1"), max_size=12).map(lambda text: text.encode("latin-1"))


@settings(max_examples=200, deadline=None)
@given(
    status=st.integers(100, 700),
    headers=st.lists(
        st.tuples(st.one_of(names, values, st.just(b"Connection"), st.just(b"Content-Length")), values),
        max_size=4,
    ),
    reason=values,
    length=st.one_of(st.none(), st.integers(0, 20)),
    blocks=st.lists(st.binary(max_size=9), max_size=4),
    method=st.sampled_from(("GET", "HEAD")),
)
def test_an_answer_is_exactly_one_response(
    status: int, headers: Any, reason: bytes, length: int | None, blocks: list[bytes], method: str
) -> None:
    connection = connect()
    connection.receive(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    try:
        connection.start(1, status, headers, length=length, reason=reason)
    except ResponseError:
        assert connection.outgoing() == []
        return
    for block in blocks:
        connection.data(1, block)
    connection.end(1)
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(b"".join(connection.outgoing()))
    response = client.next_event()
    assert isinstance(response, h11.Response)
    assert response.status_code == status
    got = [(name, value) for name, value in response.headers]
    left_out = (b"connection", b"keep-alive", b"content-length")
    for name, value in headers:
        if name.lower() not in left_out:
            assert (name.lower(), value.strip(b" \t")) in got
    body, event = b"", client.next_event()
    while isinstance(event, h11.Data):
        body += event.data
        event = client.next_event()
    sent = b"".join(blocks)
    assert sent.startswith(body)
    if isinstance(event, h11.EndOfMessage):
        assert not client.trailing_data[0]
    else:
        # Announced more than came: the connection ends instead.
        assert event is h11.NEED_DATA
        assert connection.closing


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(1, 50), max_size=6))
def test_chunked_bodies_come_out_whole(blocks: list[bytes], sizes: list[int]) -> None:
    octets = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    octets += b"".join(b"%x;a=b\r\n%b\r\n" % (len(block), block) for block in blocks) + b"0\r\nX: y\r\n\r\n"
    pieces = []
    for size in sizes:
        pieces.append(octets[:size])
        octets = octets[size:]
    played = Play().feed([piece for piece in [*pieces, octets] if piece])
    assert played.requests[0]["body"] == b"".join(blocks).decode("latin-1")
    assert played.requests[0]["trailers"] == [["x", "y"]]
    assert played.complete == 1


class Counted(bytearray):
    """A buffer that counts the octets that searches in it look at."""

    work = 0

    def find(self, needle: Any, start: Any = 0, end: Any = None) -> int:
        stop = len(self) if end is None else min(end, len(self))
        found = super().find(needle, start, stop)
        Counted.work += (found if found >= 0 else stop) - start + 1
        return found


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
WORST: list[tuple[str, Callable[[int], bytes]]] = [
    ("long line", lambda size: b"GET /" + b"a" * size),
    ("long field", lambda size: b"GET / HTTP/1.1\r\nX: " + b" " * size),
    ("many fields", lambda size: b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * (size // 6)),
    (
        "carriage returns",
        lambda size: b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X: y\r\n" * (size // 6))[:-2] + b"\r",
    ),
    ("trailers", lambda size: CHUNKED + b"0\r\nX: " + b"y" * size),
]


@pytest.mark.parametrize(("name", "make"), WORST, ids=[name for name, _ in WORST])
def test_work_is_linear(name: str, make: Callable[[int], bytes]) -> None:
    """Octet by octet, twice the input costs about twice the searching."""

    def work(size: int) -> int:
        limits = Limits(request_line=0, field=0, fields=0, head=0)
        connection = connect(limits=limits)
        connection._inbox.kept = Counted()
        Counted.work = 0
        for octet in in_pieces(make(size), 1):
            connection.receive(octet)
            body = connection._upload._body
            if isinstance(body, ChunkedBody) and type(body._line) is bytearray:
                body._line = Counted(body._line)
        assert not connection.closing, name
        return Counted.work

    small, large = work(4000), work(8000)
    assert 0 < large < 2.3 * small
