"""Frames: any split of the bytes gives the same frames, and nothing wrong is taken."""

from __future__ import annotations

import pytest
from hostler_dirty import _wire
from hostler_dirty._wire import INLINE, FrameReader
from hostler_dirty.errors import DirtyPayloadTooLargeError, DirtyProtocolError
from hypothesis import given, settings
from hypothesis import strategies as st

KIND = st.sampled_from(sorted(_wire.KINDS))
U64 = st.integers(0, 2**64 - 1)


@st.composite
def frames(draw):
    kind, call, deadline = draw(KIND), draw(U64), draw(U64)
    flags, priority = draw(st.integers(0, 255)), draw(st.integers(0, 255))
    body = draw(st.binary(max_size=200))
    inline = draw(st.lists(st.binary(max_size=100), max_size=4))
    if not inline:
        data = _wire.pack(kind, call, body, flags, priority, deadline)
    else:
        table = [(INLINE, len(piece)) for piece in inline]
        data = _wire.pack_buffers(kind, call, body, table, inline, flags, priority, deadline)
    return data, (kind, call, deadline, flags, priority, body, inline)


@settings(deadline=None, max_examples=150)
@given(st.lists(frames(), max_size=5), st.lists(st.integers(1, 60), min_size=1))
def test_any_split_gives_the_same_frames(sent, sizes):
    data = b"".join(frame for frame, _ in sent)
    reader, got, position, turn = FrameReader(1 << 20), [], 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        got += reader.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    assert not reader.partial
    assert [
        (f.kind, f.call, f.deadline, f.flags, f.priority, bytes(f.body), [bytes(b) for b in f.inline])
        for f in got
    ] == [expected for _, expected in sent]


@settings(deadline=None, max_examples=200)
@given(st.binary(min_size=1, max_size=300))
def test_garbage_is_refused_or_waits(data):
    reader = FrameReader(1000)
    try:
        for octet in range(len(data)):
            reader.feed(data[octet : octet + 1])
    except DirtyProtocolError:
        return
    assert len(reader._buffer) <= len(data)


@settings(deadline=None, max_examples=150)
@given(frames(), st.data())
def test_a_flipped_octet_never_escapes(sent, data):
    octets = bytearray(sent[0])
    position = data.draw(st.integers(0, len(octets) - 1))
    octets[position] ^= data.draw(st.integers(1, 255))
    try:
        for frame in FrameReader(1 << 20).feed(bytes(octets)):
            assert frame.kind in _wire.KINDS
    except DirtyProtocolError:
        return


@pytest.mark.parametrize(
    ("change", "message"),
    [((0, 0), "does not speak"), ((2, 9), "version 9"), ((3, 200), "kind 200"), ((5, 1), "flags")],
)
def test_what_is_wrong_is_said(change, message):
    data = bytearray(_wire.pack(_wire.CALL, 1))
    data[change[0]] = change[1]
    with pytest.raises(DirtyProtocolError, match=message):
        FrameReader(100).feed(bytes(data))


def test_limits():
    with pytest.raises(DirtyProtocolError, match="limit"):
        FrameReader(10).feed(_wire.pack(_wire.CALL, 1, b"x" * 11))
    with pytest.raises(DirtyPayloadTooLargeError):
        _wire.pack_buffers(_wire.CALL, 1, b"", [(INLINE, 0)] * 256, [b""] * 256)
    data = _wire.pack_buffers(_wire.CALL, 1, b"", [(INLINE, 100)], [b"short"])
    with pytest.raises(DirtyProtocolError):
        FrameReader(1000).feed(data)


def test_feeding_octet_by_octet_is_linear():
    data = _wire.pack(_wire.CALL, 1, b"x" * 200_000)
    reader = FrameReader(1 << 20)
    got = []
    for position in range(0, len(data), 1):
        got += reader.feed(data[position : position + 1])
    assert len(got) == 1
