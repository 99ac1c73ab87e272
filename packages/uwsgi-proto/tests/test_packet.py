"""Packets of every kind, whole and split, and connections made of them."""

from __future__ import annotations

from typing import Any

import pytest
from hostler.plugin import Connection, Gone, Limits, Opening, Policy, ProtocolError, Request, Transport
from hostler_uwsgi import UwsgiSettings, protocol
from hostler_uwsgi._connection import open_connection
from hostler_uwsgi._packet import UwsgiDecoder
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import MALFORMED, USUAL, packed, packet, raw, text


def connect(peer: str = "127.0.0.1", own: UwsgiSettings | None = None) -> Connection:
    return open_connection(Opening(Transport((peer, 5), None), Limits(), Policy(), settings=own))


def variables(octets: bytes) -> dict[bytes, bytes]:
    decoder = UwsgiDecoder()
    assert decoder.size(octets) == len(octets)
    return decoder.variables(octets)


def test_a_usual_packet() -> None:
    assert variables(packet()) == USUAL
    assert variables(raw(b"")) == {}
    assert variables(packed([(b"A", b"")])) == {b"A": b""}
    assert variables(raw(text(b"A") + text(b"b"), modifier2=7)) == {b"A": b"b"}


def test_repeated_names() -> None:
    assert variables(packed([(b"A", b"1"), (b"A", b"2")])) == {b"A": b"2"}
    assert variables(packed([(b"HTTP_A", b"1"), (b"HTTP_A", b"2")])) == {b"HTTP_A": b"1, 2"}
    assert variables(packed([(b"HTTP_COOKIE", b"a=1"), (b"HTTP_COOKIE", b"b=2")])) == {
        b"HTTP_COOKIE": b"a=1; b=2"
    }


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_packets_close_without_an_answer(name: str) -> None:
    for pieces in (
        [MALFORMED[name]],
        [MALFORMED[name][place : place + 1] for place in range(len(MALFORMED[name]))],
    ):
        connection = connect()
        events: list[Any] = []
        for piece in pieces:
            if not connection.closing:
                events += connection.receive(piece)
        (gone,) = events
        assert isinstance(gone, Gone)
        assert gone.kind == "uwsgi_bad"
        assert connection.closing
        assert connection.outgoing() == []


def test_the_most_variables() -> None:
    assert len(variables(packed([(b"A%d" % number, b"") for number in range(256)]))) == 256


def test_every_split_is_the_same() -> None:
    octets = packet(CONTENT_LENGTH=b"5", REQUEST_METHOD=b"POST") + b"hello"

    def told(pieces: list[bytes]) -> tuple[Any, ...]:
        connection = connect()
        events = [event for piece in pieces for event in connection.receive(piece)]
        head = events[0].head
        body = b"".join(event.block for event in events if type(event).__name__ == "Data")
        return head.headers, head.variables, head.client, body, type(events[-1]).__name__

    whole = told([octets])
    assert whole[3:] == (b"hello", "End")
    for cut in range(1, len(octets)):
        assert told([octets[:cut], octets[cut:]]) == whole
    assert told([octets[place : place + 1] for place in range(len(octets))]) == whole


def test_the_largest_packet() -> None:
    block = b"".join(text(b"A%d" % number) + text(b"x" * 8000) for number in range(8))
    block += text(b"REQUEST_METHOD") + text(b"GET")
    block += text(b"PAD") + text(b"x" * (65535 - len(block) - 7))
    connection = connect()
    (request,) = connection.receive(raw(block))
    assert isinstance(request, Request)
    assert len(block) == 65535


def test_keepalive_is_a_setting() -> None:
    for own, closes in ((None, True), (UwsgiSettings(), True), (UwsgiSettings(keepalive=True), False)):
        connection = connect(own=own)
        connection.receive(packet())
        connection.start(1, 200, (), length=2)
        connection.data(1, b"ok")
        connection.end(1)
        assert connection.closing is closes
    assert connection.receive(packet())


def test_strangers_are_not_heard() -> None:
    connection = connect("203.0.113.5")
    (gone,) = connection.receive(packet())
    assert isinstance(gone, Gone)
    assert gone.kind == "uwsgi_forbidden"
    assert connection.outgoing() == []


def test_the_plugins_value() -> None:
    assert protocol.schemes == ("uwsgi",)
    assert protocol.ids == protocol.alpn == ()
    assert protocol.settings is UwsgiSettings


pairs = st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.binary(max_size=40)), max_size=12)


@settings(max_examples=200, deadline=None)
@given(pairs)
def test_what_is_packed_comes_out(given_pairs: list[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in given_pairs]
    if len(set(names)) == len(names):
        assert variables(packed(given_pairs)) == dict(given_pairs)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(raw), pairs.map(packed)), st.integers(0, 100)
)
def test_any_bytes(octets: bytes, cut: int) -> None:
    """An error or a head; never more than the packet is taken; the environ gets no name that is none."""
    decoder = UwsgiDecoder()
    try:
        size = decoder.size(octets)
        if size is not None and size <= len(octets):
            decoder.variables(octets[:size])
    except ProtocolError as error:
        assert (error.status, error.kind) == (0, "uwsgi_bad")  # noqa: PT017
    connection = connect()
    for piece in (octets[:cut], octets[cut:]):
        if piece and not connection.closing:
            for event in connection.receive(piece):
                if isinstance(event, Request):
                    shown = event.head.variables or {}
                    assert all(name.isidentifier() and not name.startswith("HTTP_") for name in shown)
