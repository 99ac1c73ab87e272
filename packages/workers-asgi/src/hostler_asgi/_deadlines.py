"""Deadlines of a connection, looked at twice a second by the worker's one timer.

A drive only counts octets and requests; everything else is found by comparing with what the last look saw,
so that serving a request costs nothing here. Every wait has a deadline and, where octets drip, a least rate.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

from hostler.drive import Patience
from hostler.plugin import Waiting

if TYPE_CHECKING:
    from hostler_asgi._drive import Drive

LINGER_OCTETS = 65536
"""What is read and thrown away of a peer that goes on sending after its answer."""
HALF_CLOSED = 0.5
"""Seconds after a client's FIN in which its answer may still come before the application hears of it."""
LAST_WORD = 1.0
"""Seconds that a stopping worker leaves a connection that was made but has not said anything yet, and a kept-alive
one to send the request that may be on its way."""


class Watch:
    """What the last look at one connection saw."""

    __slots__ = (
        "_base",
        "_key",
        "_read",
        "_since",
        "_stalls",
        "_touched",
        "_write_base",
        "_write_since",
        "_written",
        "_wrote",
    )

    def __init__(self, now: float) -> None:
        self._key: tuple[Waiting, int] | None = None
        self._since = self._touched = now
        self._base = self._read = 0
        self._write_since = self._wrote = 0.0
        self._write_base = self._written = 0
        self._stalls: dict[int, Stall] = {}

    def look(self, drive: Drive, now: float, patience: Patience) -> None:
        """Act on what is over its time."""
        transport = drive.transport
        waits = transport.get_write_buffer_size()
        if waits:
            if self._reads_slowly(drive.octets_out - waits, now, patience):
                drive.worker.ctx.log.refused("write_slow", drive.peer, f"{waits} octets waited")
                transport.abort()
                return
        elif self._write_since:
            self._write_since = 0.0
        if drive.lingering:
            if now - drive.lingering > patience.linger:
                transport.abort()
            return
        if not transport.is_closing():
            self._look_at_reading(drive, now, patience)

    def _reads_slowly(self, written: int, now: float, patience: Patience) -> bool:
        if not self._write_since:
            self._write_since = self._wrote = now
            self._write_base = self._written = written
        elif written != self._written:
            self._written, self._wrote = written, now
        return patience.drips(now, self._write_since, self._wrote, written - self._write_base)

    def _look_at_reading(self, drive: Drive, now: float, patience: Patience) -> None:
        waiting = drive.connection.waiting
        key = (waiting, drive.requests)
        octets = drive.octets_in
        if key != self._key:
            self._key, self._since, self._touched = key, now, now
            self._base = self._read = octets
        elif octets != self._read:
            self._read, self._touched = octets, now
        if waiting is Waiting.NOTHING or not drive.reading:
            self._touched = now
            return
        quiet = waiting is Waiting.FIRST or (waiting is Waiting.IDLE and not readable(drive.transport))
        if quiet and drive.worker.stopping and now - drive.worker.stopped_at > LAST_WORD:
            drive.expire()
        elif patience.over(waiting, now, self._since, self._touched, octets - self._base):
            if waiting is not Waiting.IDLE or not readable(drive.transport):
                drive.expire()
        elif now - drive.born > patience.lifetime:
            drive.born = now
            drive.retire()

    def look_at_stream(self, drive: Drive, stream: int, now: float, patience: Patience) -> None:
        """Give up one stream when nothing of its connection moves; the protocol ends those that stall beside others."""
        held_back = drive.connection.backlog(stream)
        if not held_back:
            self._stalls.pop(stream, None)
            return
        moved = drive.octets_out - drive.transport.get_write_buffer_size()
        stall = self._stalls.get(stream)
        if stall is None:
            self._stalls[stream] = Stall(now, moved)
        elif stall.over(now, moved, patience):
            del self._stalls[stream]
            drive.worker.ctx.log.refused("write_slow", drive.peer, f"{held_back} octets of a stream waited")
            drive.give_up(stream)


class Stall:
    """How one stream's flow control moves."""

    __slots__ = ("_base", "_moved", "_moved_at", "_since")

    def __init__(self, now: float, moved: int) -> None:
        self._since = self._moved_at = now
        self._base = self._moved = moved

    def over(self, now: float, moved: int, patience: Patience) -> bool:
        """Whether the reader of this stream is too slow; `moved`: octets that flow control has let out."""
        if moved != self._moved:
            self._moved, self._moved_at = moved, now
        return patience.drips(now, self._since, self._moved_at, moved - self._base)


def readable(transport: asyncio.Transport) -> bool:
    """A request may have come in the last moment before its idle connection is closed."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))
