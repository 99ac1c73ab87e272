"""Frames as values: any split of the octets gives the same messages, and any message comes back as it was."""

from __future__ import annotations

import itertools
import struct
import zlib

from hostler_asgi._frames import Closed, Frames, negotiate
from hypothesis import given, settings
from hypothesis import strategies as st

MASK = b"\x11\x22\x33\x44"


def frame(first, payload):
    size = len(payload)
    if size < 126:
        head = bytes([first, 128 | size])
    elif size < 65536:
        head = struct.pack("!BBH", first, 254, size)
    else:
        head = struct.pack("!BBQ", first, 255, size)
    return head + MASK + bytes(o ^ MASK[i & 3] for i, o in enumerate(payload))


messages = st.one_of(st.text(max_size=200), st.binary(max_size=300))


@st.composite
def streams(draw):
    """Messages, and octets that carry them: fragmented, with pings between."""
    told, octets = [], b""
    for message in draw(st.lists(messages, max_size=5)):
        told.append(message)
        payload = message.encode() if isinstance(message, str) else message
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
        parts = [payload[a:b] for a, b in itertools.pairwise([0, *cuts, len(payload)])]
        for number, part in enumerate(parts):
            opcode = 0 if number else (1 if isinstance(message, str) else 2)
            octets += frame(opcode | (128 if number == len(parts) - 1 else 0), part)
            if draw(st.booleans()):
                octets += frame(0x89, draw(st.binary(max_size=10)))
    return told, octets


@settings(deadline=None, max_examples=150)
@given(streams(), st.data())
def test_any_split_gives_the_same_messages(stream, data):
    told, octets = stream
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=8)))
    frames = Frames(1 << 20, 1024)
    found = []
    for a, b in itertools.pairwise([0, *cuts, len(octets)]):
        found += frames.receive(octets[a:b])
    assert found == told
    assert frames.open


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=400), st.data())
def test_no_octets_raise(octets, data):
    cut = data.draw(st.integers(0, len(octets)))
    frames = Frames(1000, 4)
    found = frames.receive(octets[:cut]) + frames.receive(octets[cut:])
    closed = [item for item in found if isinstance(item, Closed)]
    assert len(closed) <= 1
    assert bool(closed) == (not frames.open)
    assert not closed or isinstance(found[-1], Closed)


@settings(deadline=None, max_examples=50)
@given(st.lists(messages, max_size=5))
def test_compressed_messages_come_back(told):
    answer, extensions = negotiate([b"permessage-deflate"])
    assert answer.startswith("permessage-deflate")
    frames = Frames(1 << 20, 1024, extensions)
    deflate = zlib.compressobj(wbits=-12)
    octets = b""
    for message in told:
        payload = message.encode() if isinstance(message, str) else message
        squeezed = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
        octets += frame(0xC1 if isinstance(message, str) else 0xC2, squeezed[:-4])
    assert frames.receive(octets) == told


def test_the_number_of_pieces_costs_linear_time():
    """Work is counted in octets copied: a message fed octet by octet is never copied again and again."""
    octets = frame(0x82, bytes(20000))
    frames = Frames(1 << 20, 1024)
    found = []
    for number in range(len(octets)):
        found += frames.receive(octets[number : number + 1])
    assert found == [bytes(20000)]


def test_an_offer_that_cannot_be_served_is_not_accepted():
    assert negotiate([b"permessage-deflate; server_max_window_bits=99"]) == ("", [])
    assert negotiate([b"x-webkit-deflate-frame"]) == ("", [])
