"""The fakes behave as what they stand for."""

from __future__ import annotations

import pytest
from hostler.http import Request
from hostler.http1._opening import open_connection
from hostler.testing import Clock, feed, make_opening, memory_sockets
from hypothesis import given, settings
from hypothesis import strategies as st


def test_clock_goes_on_when_told() -> None:
    """And never back."""
    clock = Clock(5.0)
    assert clock() == 5.0
    clock.advance(2.5)
    assert clock() == 7.5
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


@pytest.mark.parametrize("at_a_time", [1, 7, 1000])
def test_feed(at_a_time: int) -> None:
    """The same events, however a request is cut."""
    connection = open_connection(make_opening())
    events = feed(connection, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", at_a_time=at_a_time)
    assert [type(event) for event in events] == [Request]


def test_opening_is_made_of_what_is_given() -> None:
    """Everything else has a value for tests."""
    opening = make_opening(peer=None, secure=True, keepalive=False)
    assert opening.transport.unix
    assert opening.transport.secure
    assert not opening.keepalive


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300), st.integers(1, 50), st.integers(1, 50))
def test_memory_sockets_carry_everything_in_order(data: bytes, capacity: int, size: int) -> None:
    """Whatever the reader takes at a time."""
    left, right = memory_sockets(capacity)
    seen, rest = b"", data
    while rest or len(seen) < len(data):
        try:
            rest = rest[left.send(rest) :]
        except BlockingIOError:
            seen += right.recv(size)
            continue
        if not rest and len(seen) < len(data):
            seen += right.recv(size)
    assert seen == data
    with pytest.raises(BlockingIOError):
        right.recv(1)
    left.shutdown()
    assert right.recv(1) == b""
    right.close()
    with pytest.raises(BrokenPipeError):
        left.send(b"x")
