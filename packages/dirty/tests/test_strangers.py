"""Frames that no caller of ours sends, to a worker: only their own channel ends, and nothing is left of it."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select

import pytest
from hostler_dirty import _arena, _line, _served, _wire
from hostler_dirty._calling import Channel
from hostler_dirty._wire import HEADER, KINDS, MAGIC, VERSION
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pool_by_hand import Worker

PLAIN = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=9) | st.text(max_size=9)
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=5), inner)
)
U64 = st.integers(0, 2**64 - 1)


@st.composite
def frames(draw):
    """From octets by chance to a call that is almost right."""
    choice = draw(st.integers(0, 3))
    if choice == 0:
        return draw(st.binary(min_size=1, max_size=200))
    body = draw(st.binary(max_size=60)) if choice == 1 else _line.encode(draw(VALUES))
    if choice == 3:
        lease = draw(st.sampled_from([0, 1, 5, 6, 2**63]))
        action = draw(st.sampled_from(["echo", "three", "init", "_x", "", 7]))
        body = _line.encode(
            [lease, draw(st.integers(0, 3)), draw(st.integers(0, 3)), "Quick", action, [1], {}, None]
        )
    kind = draw(st.sampled_from([_wire.CALL, _wire.CALL, *sorted(KINDS)]))
    count = draw(st.integers(0, 2)) if choice < 3 else 0
    tail = b"".join(_wire.ENTRY.pack(draw(U64), draw(U64)) for _ in range(count))
    return (
        HEADER.pack(
            MAGIC, VERSION, kind, draw(st.integers(0, 255)), count, draw(st.integers(0, 7)), draw(U64), draw(U64),
            len(body), len(tail),
        )
        + body + tail
    )  # fmt: skip


class Quick:
    """What it has can be called by anybody."""

    def init(self):
        self.count = 0

    def echo(self, *values, **named):
        return values[0] if values else named

    def three(self):
        yield from range(3)


@pytest.fixture(scope="module")
def worker():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_served.Turns, "SHORT", -1)  # every lease goes back at once
        # What pytest keeps of a warning is its error, and with that the memory that the error's frames speak of.
        patch.setattr(logging.getLogger("hostler.dirty"), "disabled", True)
        made = Worker(Quick)
        yield made
        made.close()


def served(worker, channel, lease):
    asked = worker.call(channel, lease, "echo", "mine")
    worker.turn()
    (frame,) = worker.answer(channel)
    assert (frame.kind, frame.call) == (_wire.RESULT, asked.id)
    assert (_wire.DONE, lease) in worker.told()


def descriptors():
    """What this process has open, by kind and number."""
    gc.collect()
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing itself
            found.append((os.readlink(f"/proc/self/fd/{number}"), int(number)))
    return found


def speak(worker, channel, octets):
    """Send them, and let the worker act until it has read all, or has closed the channel."""
    channel.sock.setblocking(False)
    for piece in octets:
        try:
            channel.sock.sendall(piece)
        except OSError:
            break
        for _ in range(3):
            worker.turn()
            if not select.select([channel.sock], [], [], 0)[0]:
                continue
            if not channel.sock.recv(1 << 20):
                return
    channel.sock.close()
    while any(each.id == channel.id for each in worker.runtime.channels.values()):
        worker.turn()


@pytest.mark.parametrize("attached", [True, False])
def test_frames_by_chance(worker, attached):
    leases = iter(range(10, 10**9))
    mine = worker.introduce()
    served(worker, mine, next(leases))
    before = descriptors()

    @settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.lists(frames(), min_size=1, max_size=4))
    def strangers(octets):
        ours, theirs = _line.pair()
        number = next(leases)
        worker.introduce_as(number, theirs)
        channel = Channel(number, 1, ours) if attached else Bare(number, ours)
        speak(worker, channel, octets)
        channel.close()
        served(worker, mine, next(leases))
        assert len(worker.runtime.channels) == 1

    strangers()
    assert len(descriptors()) <= len(before), set(descriptors()) - set(before)
    mine.close()
    while worker.runtime.channels:
        worker.turn()


class Bare:
    """A channel that has not been attached."""

    def __init__(self, number, sock):
        self.id, self.sock = number, sock

    def close(self):
        self.sock.close()


def test_a_lease_of_yesterday(worker):
    """A call by a lease that has gone back is refused, as often as it comes."""
    channel = worker.introduce()
    served(worker, channel, 2**40)
    for lease in (2**40, 1, 0, 2**40 - 1):
        worker.call(channel, lease, "echo", "not mine")
        worker.turn()
        (frame,) = worker.answer(channel)
        assert (frame.kind, frame.deadline) == (_wire.STALE, lease)
    assert worker.told() == []
    served(worker, channel, 2**40 + 1)
    channel.close()
    while worker.runtime.channels:
        worker.turn()


def test_an_arena_that_is_cut_short(worker):
    """A caller cannot take away the memory that it has given."""
    fd = _arena.create()
    os.ftruncate(fd, 8192)
    with pytest.raises(OSError, match=r"permitted|denied"):
        os.ftruncate(fd, 0)
    os.close(fd)
