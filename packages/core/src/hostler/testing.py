"""The public face for tests of plugins: fakes that need no test framework.

The suites that a plugin must pass are in `hostler-testkit`; what stands here is for its own tests.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from hostler.http import Address, Connection, Event, Limits, Opening, Policy, Switch, Transport

__all__ = ["Clock", "MemorySocket", "feed", "make_opening", "memory_sockets"]


class Clock:
    """A monotonic clock that stands still until it is told to go on."""

    __slots__ = ("now",)

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time in seconds, as `time.monotonic` tells it."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass. Raises ValueError for a step back."""
        if seconds < 0:
            raise ValueError("a monotonic clock does not go back")
        self.now += seconds


def make_opening(
    *, peer: Address | None = ("127.0.0.1", 40000), secure: bool = False, **given: Any
) -> Opening:
    """What a protocol's `open` gets, for a connection from this peer; `given` are fields of `Opening`."""
    transport = Transport(peer=peer, local=("127.0.0.1", 8000), unix=peer is None, secure=secure)
    values: dict[str, Any] = {
        "transport": transport,
        "limits": Limits(),
        "policy": Policy(),
        "max_requests": 0,
    }
    return Opening(**{**values, **given})


def feed(connection: Connection, data: bytes, *, at_a_time: int = 1) -> list[Event]:
    """Give a connection these octets, so many at a time, and collect what it tells.

    A protocol that takes over (`Switch`) is followed: its events are told, and it gets the rest.
    """
    told: list[Event] = []
    for start in range(0, len(data), at_a_time):
        for event in connection.receive(data[start : start + at_a_time]):
            if isinstance(event, Switch):
                told += event.events
                connection = event.connection
            else:
                told.append(event)
    return told


class _Pipe:
    """One direction of a pair."""

    __slots__ = ("capacity", "ended", "octets")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.octets: deque[int] = deque()
        self.ended = False


class MemorySocket:
    """One end of a pair that behaves as a non-blocking stream socket does, within one process and thread."""

    __slots__ = ("_incoming", "_outgoing")

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def send(self, data: bytes) -> int:
        """How many octets were taken.

        Raises BlockingIOError when the peer's buffer is full, BrokenPipeError when either end is closed.
        """
        out = self._outgoing
        if out.ended:
            raise BrokenPipeError("the connection has ended")
        room = out.capacity - len(out.octets)
        if room <= 0 and data:
            raise BlockingIOError("the other end has not read what was sent")
        out.octets.extend(data[:room])
        return min(room, len(data))

    def recv(self, size: int) -> bytes:
        """Up to so many octets; b"" when the peer has ended. Raises BlockingIOError while there are none."""
        octets = self._incoming.octets
        if octets:
            return bytes(octets.popleft() for _ in range(min(size, len(octets))))
        if self._incoming.ended:
            return b""
        raise BlockingIOError("nothing was sent yet")

    def shutdown(self) -> None:
        """Send no more; the peer reads the end after what was sent."""
        self._outgoing.ended = True

    def close(self) -> None:
        """End both ways."""
        self._incoming.ended = self._outgoing.ended = True


def memory_sockets(capacity: int = 65536) -> tuple[MemorySocket, MemorySocket]:
    """Two connected ends; each takes so many octets until the other reads."""
    one, other = _Pipe(capacity), _Pipe(capacity)
    return MemorySocket(one, other), MemorySocket(other, one)
