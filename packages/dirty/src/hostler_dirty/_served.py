"""A channel as the worker has it: one caller, one call at a time."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from hostler_dirty import _line, _payload, _wire
from hostler_dirty._app import Call, DirtyCancelled
from hostler_dirty._arena import STARTED, Arena, Page, Window
from hostler_dirty._wire import Frame, FrameReader
from hostler_dirty.errors import DirtyError, DirtyProtocolError, DirtyStreamStalledError

if TYPE_CHECKING:
    from hostler_dirty.codecs import Codec

logger = logging.getLogger("hostler.dirty")

WINDOW_CHUNKS, WINDOW_OCTETS = 64, 1 << 20
"""How much of a stream may be on its way."""
FEED_CREDIT = 16
ALLOWED_WITHIN = 1.0
"""Seconds that the arbiter's word on a guest's lease, which it sends before it grants the lease, may take longer."""
TOLD_WITHIN = 1.0
"""Seconds in which a caller without shared memory has to take the word that its call begins."""


class Served:
    """The worker's end of a channel. `receive` and `take` are called by whoever watches it at the time."""

    def __init__(self, number: int, sock: socket.socket, limit: int, *, outside: bool = False) -> None:
        self.id = number
        self.outside = outside
        """Its caller is trusted with data only: neither with shared memory nor with codecs that run code."""
        self._bare = False
        self._allowed: dict[int, tuple[int, int]] = {}
        self._told = threading.Condition()
        self.sock = sock
        self.fd = sock.fileno()
        sock.setblocking(False)
        self._reader = FrameReader(limit + (1 << 20))
        self.page: Page | None = None
        self.window: Window | None = None
        self.arena: Arena | None = None
        self.lease = 0
        self.revoked = 0
        self.call: Call | None = None
        self.give_back = False
        self.since = 0
        """When the lease came, monotonic ns."""
        self.turns = Turns()
        self.watched = False
        self.dead = False
        self.feed: Feeding | None = None
        self.early: list[Frame] = []
        """What came in one piece with the CALL: the beginning of its input stream."""
        self._sending = threading.Lock()
        self._credit = threading.Condition()
        self._chunks = 0
        self._octets = 0

    def receive(self) -> list[Frame] | None:
        """The frames that have come; None: the caller closed the channel."""
        try:
            if self.page is None:
                return self._attach()
            data = self.sock.recv(65536)
        except BlockingIOError:
            return []
        except ConnectionError:
            return None
        return self._reader.feed(data) if data else None

    def _attach(self) -> list[Frame] | None:
        """The first frame, which brings the shared memory."""
        if self._bare:
            return self._receive_bare()
        data, fds = _line.receive_with(self.sock)
        if not data:
            return None
        try:
            frames = self._reader.feed(data)
            if not frames or frames[0].kind != _wire.ATTACH:
                raise DirtyProtocolError("A channel begins with something else than ATTACH")
            self._bare = bool(frames[0].flags & _wire.BARE)
            if len(fds) != (0 if self._bare else 2) or (self.outside and not self._bare):
                raise DirtyProtocolError(
                    "A channel begins with descriptors that do not belong there, or without"
                )
            if not self._bare:
                self.page = Page(fds[0])
        except (DirtyProtocolError, OSError, ValueError) as error:
            for fd in fds:
                os.close(fd)
            raise DirtyProtocolError(str(error)) from None
        if self._bare:
            return self._from_outside(frames[1:])
        self.window = Window(fds[0])
        self.arena = Arena(fds[1])
        return frames[1:]

    def _receive_bare(self) -> list[Frame] | None:
        data = self.sock.recv(65536)
        return self._from_outside(self._reader.feed(data)) if data else None

    def _from_outside(self, frames: list[Frame]) -> list[Frame]:
        """Hold a caller from outside to what it may send; those of the server may send anything."""
        if self.outside:
            for frame in frames:
                if frame.kind == _wire.CALL:
                    frame.flags &= ~_wire.KEPT  # its lease goes back after each call, whatever it asks
        return frames

    def allow(self, lease: int, batch: tuple[int, int]) -> None:
        """The arbiter's word on a lease of a caller from outside, who is not taken at its own: its batch and size."""
        with self._told:
            self._allowed[lease] = batch
            self._told.notify()

    def allowed(self, lease: int) -> tuple[int, int] | None:
        """What `allow` said of the lease, once; None: nothing, though the word had time to come."""
        with self._told:
            self._told.wait_for(lambda: lease in self._allowed, ALLOWED_WITHIN)
            return self._allowed.pop(lease, None)

    def mark_started(self, call_id: int) -> None:
        """From here on the call may have had effects."""
        if self.page is not None:
            self.page.words[STARTED] = call_id
        else:
            self.send(_wire.pack(_wire.BEGAN, call_id), TOLD_WITHIN)

    def send(self, data: bytes, timeout: float) -> None:
        """Send to the caller; a caller that is gone marks the channel dead."""
        with self._sending:
            try:
                _line.send_all(self.sock, data, timeout)
            except OSError:  # a TimeoutError too
                self.dead = True

    def tell_stale(self, lease: int) -> None:
        """The caller of a lease that was taken back may wait. While an answer is sent to it, that tells it instead."""
        if self._sending.acquire(blocking=False):
            try:
                self.sock.send(_wire.pack(_wire.STALE, 0, deadline=lease))
            except OSError as error:
                logger.debug("a caller cannot be told that its lease is stale: %s", error)
            finally:
                self._sending.release()

    # -- streams ----------------------------------------------------------------------------------------

    def begin_stream(self) -> None:
        with self._credit:
            self._chunks = self._octets = 0

    def send_chunk(self, call: Call, value: Any, limit: int, stall: float, codec: Codec | None = None) -> int:
        """One chunk, when the reader has room; its octets. Raises DirtyStreamStalledError when it takes nothing."""
        with self._credit:
            until = time.monotonic() + stall if stall else None
            while not self.dead and (self._chunks >= WINDOW_CHUNKS or self._octets >= WINDOW_OCTETS):
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    raise DirtyStreamStalledError(f"The reader of a stream took nothing for {stall:g} s")
                self._credit.wait(left)
            arena = self.arena if not self._chunks else None
        if self.dead:
            raise DirtyCancelled
        data = _payload.pack_one(_wire.CHUNK, call.id, value, codec, arena, limit)
        with self._credit:
            self._chunks += 1
            self._octets += len(data)
        with call.shield():  # half a frame would end the channel
            self.send(data, stall)
        return _payload.octets_of(data)

    def take(self, frame: Frame) -> None:
        """A frame that came while a call runs."""
        call = self.call
        if call is None or frame.call != call.id:
            return
        if frame.kind == _wire.CREDIT:
            with self._credit:
                self._chunks -= frame.deadline >> 32
                self._octets -= frame.deadline & 0xFFFF_FFFF
                self._credit.notify_all()
        elif frame.kind in (_wire.INPUT, _wire.INPUT_END) and self.feed is not None:
            self.feed.put(frame)

    def wake(self) -> None:
        """The caller is gone: let who waits see it."""
        with self._credit:
            self._credit.notify_all()
        feed = self.feed
        if feed is not None:
            feed.put(None)

    def close(self) -> None:
        self.dead = True
        self.sock.close()
        if self.window is not None:
            self.window.close()
        if self.arena is not None:
            self.arena.close()
        if self.page is not None:
            with contextlib.suppress(BufferError):
                self.page.close()


class Turns:
    """Whether a caller that must give its lease back may first call again, because it does so at once.

    While others wait, a lease goes back after each call, which costs more than a small call itself. A caller that
    calls in a row keeps its turn for QUANTUM; one that does not would only leave the worker idle, so it is tried
    rarely, and ever more rarely. The arbiter need not know: nobody waits longer than a quantum for it.
    """

    __slots__ = ("_calls", "_every", "hot")
    QUANTUM = 2_000_000
    SHORT = 500_000
    """Nanoseconds: only between calls as short as this does the way to the arbiter matter."""

    def __init__(self) -> None:
        self.hot = False
        self._calls = 0
        self._every = 4

    def another(self, took: int, held: int) -> bool:
        """The call took so long, the lease has been held so long: whether to wait a moment for the next call."""
        if took > self.SHORT or held > self.QUANTUM:
            return False
        self._calls += 1
        return self.hot or self._calls % self._every == 0

    def came(self, *, again: bool) -> None:
        """The caller did, or did not, call again at once."""
        if again:
            self.hot, self._every = True, 4
        else:
            self.hot, self._every = False, min(256, self._every * 2)


class Feeding:
    """An input stream as the action reads it, plainly or asynchronously."""

    def __init__(self, channel: Served, call: Call) -> None:
        self._channel, self._call = channel, call
        self.codec: Codec | None = None
        self._items: deque[Frame | None] = deque()
        self._ready = threading.Condition()
        self._taken = 0
        self._over = False
        self.octets = 0
        """How much the action has taken."""

    def put(self, frame: Frame | None) -> None:
        with self._ready:
            self._items.append(frame)
            self._ready.notify()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._over:
            raise StopIteration
        with self._ready:
            while not self._items:
                self._ready.wait()
            frame = self._items.popleft()
        if frame is None:
            self._over = True
            raise DirtyCancelled
        if frame.kind == _wire.INPUT_END:
            self._over = True
            if frame.body:
                raise DirtyError(f"the caller's input stream failed: {_line.decode(frame.body)}")
            raise StopIteration
        value = _payload.read_one(frame, None, self.codec)
        self.octets += _payload.octets(frame)
        self._taken += 1
        if self._taken % FEED_CREDIT == 0:
            self._channel.send(_wire.pack(_wire.CREDIT, self._call.id, deadline=FEED_CREDIT << 32), 30.0)
        return value

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        import asyncio  # noqa: PLC0415  (only for async actions)

        done = object()
        value = await asyncio.get_running_loop().run_in_executor(None, next, self, done)
        if value is done:
            raise StopAsyncIteration
        return value
