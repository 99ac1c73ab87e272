"""A channel in an event loop: frames that came, and the task that waits for them. The session is not known here.

Raw sockets with `add_reader`: streams of asyncio cost several times as much (as measured).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from hostler_dirty._calling import Channel, Plan
from hostler_dirty._lines import Gone
from hostler_dirty._wire import Frame
from hostler_dirty.errors import DirtyProtocolError


class Wire:
    """A channel with its loop: frames that came, and the task that waits for them."""

    __slots__ = (
        "_loop", "_tell", "_timer", "_waiter", "busy", "channel", "frames", "gone", "heirs", "last", "streams",
    )  # fmt: skip

    def __init__(
        self, loop: asyncio.AbstractEventLoop, channel: Channel, tell: Callable[[bytes], None]
    ) -> None:
        """`tell`: how a frame gets to the arbiter."""
        self._loop, self.channel, self._tell = loop, channel, tell
        self.frames: deque[Frame] = deque()
        self.gone = False
        self.busy = False
        """A task has it."""
        self.streams = False
        """It reads a stream from it."""
        self.last = False
        """It is to be closed when that task is done."""
        self.heirs: deque[Callable[[], None]] = deque()
        """Leases that came for it while a task still had it: the session is quicker than the channel now and then."""
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        channel.sock.setblocking(False)
        loop.add_reader(channel.sock.fileno(), self._readable)

    def _readable(self) -> None:
        try:
            data = self.channel.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            try:
                self.frames.extend(self.channel.reader.feed(data))
            except DirtyProtocolError:
                data = b""
        if not data:
            self.gone = True
            self._loop.remove_reader(self.channel.sock.fileno())
        elif not self.frames:
            return
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def next(self, plan: Plan) -> Frame:
        """The next frame. Raises Gone, TimeoutError."""
        while True:
            if not self.frames:
                if self.gone:
                    raise Gone
                await self._wait(plan)
                if not self.frames:
                    raise Gone
            frame = self.frames.popleft()
            if not self.channel.stale(frame):
                return frame

    async def _wait(self, plan: Plan) -> None:
        waiter = self._waiter = self._loop.create_future()
        if self.channel.began(plan.id):
            await within(self._loop, waiter, plan.deadline)
            return
        self._look_later(plan, waiter)
        try:
            await waiter
        finally:
            del waiter  # an exception in it has this frame in its traceback
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _look_later(self, plan: Plan, waiter: asyncio.Future[None]) -> None:
        left = plan.left()
        wait = plan.patience if left is None else max(0.0, min(plan.patience, left))
        self._timer = self._loop.call_later(wait, self._look, plan, waiter)

    def _look(self, plan: Plan, waiter: asyncio.Future[None]) -> None:
        """Its time is over, or the call stands behind another one, of which the arbiter is told."""
        if waiter.done():
            return
        if plan.deadline and time.monotonic_ns() >= plan.deadline:
            waiter.set_exception(TimeoutError())
            return
        if not self.channel.began(plan.id):
            frame = self.channel.blocked(plan)
            if plan.feed is None:
                self._tell(frame)
        else:
            plan.patience = 1.0
        self._look_later(plan, waiter)

    async def send(self, data: bytes, deadline: int) -> None:
        """Send to the worker. Raises Gone, TimeoutError."""
        try:
            sent = self.channel.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise Gone from error
        if sent < len(data):
            left = (deadline - time.monotonic_ns()) / 1e9 if deadline else None
            rest = self._loop.sock_sendall(self.channel.sock, memoryview(data)[sent:])
            try:
                await asyncio.wait_for(rest, left)
            except asyncio.TimeoutError:
                raise TimeoutError from None
            except OSError as error:
                raise Gone from error

    def close(self) -> None:
        if not self.gone and not self._loop.is_closed():
            self._loop.remove_reader(self.channel.sock.fileno())
        self.gone = True
        self.channel.close()


async def within(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], deadline: int) -> Any:
    """The future's result before the deadline; TimeoutError after it."""
    timer = None
    if deadline:
        left = (deadline - time.monotonic_ns()) / 1e9
        timer = loop.call_later(max(0.0, left), _expire, future)
    try:
        return await future
    finally:
        if timer is not None:
            timer.cancel()
        # An exception in it has this frame, and those of who awaits this, in its traceback: an abandoned stream
        # would live, and keep its worker, until the garbage collector comes.
        del future


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
