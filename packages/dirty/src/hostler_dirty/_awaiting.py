"""One call of an asyncio caller, from its lease to its answer, and the stream that it may be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

from hostler_dirty import _wire
from hostler_dirty._calling import (
    ATTEMPTS,
    FEED_WINDOW,
    Options,
    Plan,
    error_of,
    lost,
    next_id,
    plan,
    unanswered,
)
from hostler_dirty._hub import HUBS, Hub
from hostler_dirty._lane import Wire
from hostler_dirty._lines import Gone, is_past
from hostler_dirty._place import HERE
from hostler_dirty._wire import KEPT, RETAINED, STREAM, Frame
from hostler_dirty.errors import DirtyProtocolError


class Caller:
    """A call on a hub. `close` leaves nothing open, whatever happened."""

    def __init__(self, hub: Hub, the_plan: Plan) -> None:
        self._hub = hub
        self.plan = the_plan
        self.wire: Wire | None = None
        self._feeding: Feeding | None = Feeding(the_plan) if the_plan.feed is not None else None

    async def begin(self) -> Frame:
        """Have the call begun by a worker; the first frame of its answer."""
        while True:
            try:
                await self._send()
                frame = await self.next()
            except Gone:
                await self._gone()
                continue
            except TimeoutError:
                began = self.wire is not None and self.wire.channel.began(self.plan.id)
                stage = "run" if began else "queue"
                self.close()
                raise self.plan.expired(stage) from None
            except BaseException:
                self.close()
                raise
            if frame.kind != _wire.STALE:
                return frame
            if self._feeding is not None:
                self.close()  # its items went with it
                raise lost({"reason": "its worker takes no more calls"}, self.plan)
            assert self.wire is not None
            (self._hub.drop if self.wire.channel.unread(frame) else self._hub.release)(self.wire)
            self.wire = None
            self.plan.id, self.plan.renewed = next_id(), True

    async def _send(self) -> None:
        the_plan, hub = self.plan, self._hub
        self.wire = wire = hub.take_kept(the_plan.app) if the_plan.roams else None
        keep = True
        if wire is None:
            wire, keep = await hub.lease(the_plan)
        try:
            data = wire.channel.call(the_plan, keep=keep)
        except BaseException:
            self.wire = None
            if keep:
                hub.keep(wire, the_plan.app)
            else:
                hub.unlease(the_plan)
                hub.release(wire)
            raise
        self.wire = wire
        wire.streams = bool(the_plan.flags & STREAM)
        await wire.send(data, the_plan.deadline)
        if self._feeding is not None:
            self._feeding.start(wire)

    async def next(self) -> Frame:
        """The next frame of the answer. Raises Gone, TimeoutError."""
        assert self.wire is not None
        while True:
            frame = await self.wire.next(self.plan)
            if frame.kind == _wire.CREDIT and self._feeding is not None:
                self._feeding.room(frame.deadline >> 32)
                continue
            return frame

    async def _gone(self) -> None:
        the_plan, wire = self.plan, self.wire
        if wire is None:
            the_plan.renewed = True
            if self._hub.closed:
                self._hub = await HUBS.get(the_plan.deadline)
            return
        began, worker = wire.channel.began(the_plan.id), wire.channel.worker
        self.close()
        if is_past(the_plan.deadline):
            raise the_plan.expired("run")
        again = (not began or (the_plan.idempotent and the_plan.attempt == 1)) and the_plan.attempt < ATTEMPTS
        if not again or self._feeding is not None:
            raise lost(await self._hub.fate(worker), the_plan)
        the_plan.attempt += 1
        the_plan.id = next_id()

    async def gone_in_stream(self) -> BaseException:
        """The error of a stream whose worker went away in it."""
        assert self.wire is not None
        worker = self.wire.channel.worker
        self.close()
        if is_past(self.plan.deadline):
            return self.plan.expired("stream")
        return lost(await self._hub.fate(worker), self.plan)

    def settle(self, frame: Frame) -> None:
        """The answer's last frame came: keep the lease if it is ours still."""
        wire = self.wire
        assert wire is not None
        self.wire = None
        if self._feeding is not None:
            self._feeding.stop()
        if frame.call != self.plan.id:
            self._hub.drop(wire)
            raise DirtyProtocolError("An answer to another call")
        if frame.flags & RETAINED or self._hub.closed:
            self._hub.drop(wire)
        elif frame.flags & KEPT:
            self._hub.keep(wire, self.plan.app)
        else:
            self._hub.release(wire)

    def close(self) -> None:
        """Give up what is still open."""
        wire, self.wire = self.wire, None
        if self._feeding is not None:
            self._feeding.stop()
        if wire is not None:
            self._hub.drop(wire)


class Feeding:
    """An input stream being sent by a task of its own."""

    def __init__(self, the_plan: Plan) -> None:
        self._plan = the_plan
        self._room = FEED_WINDOW
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, wire: Wire) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(wire))
            self._task.add_done_callback(_consume)

    def room(self, count: int) -> None:
        """The worker took so many items."""
        self._room += count
        self._more.set()

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, wire: Wire) -> None:
        identity, deadline = self._plan.id, self._plan.deadline
        try:
            async for item in _items(self._plan.feed):
                while self._room <= 0:
                    self._more.clear()
                    await self._more.wait()
                self._room -= 1
                await wire.send(self._plan.item(item), deadline)
        except Gone:
            return
        except Exception as error:
            from hostler_dirty import _line  # noqa: PLC0415

            await wire.send(_wire.pack(_wire.INPUT_END, identity, _line.encode(repr(error))), deadline)
            raise
        await wire.send(_wire.pack(_wire.INPUT_END, identity), deadline)


def _consume(task: asyncio.Task[None]) -> None:
    """The worker tells of a failed input stream; here it is only not to be logged as forgotten."""
    if not task.cancelled():
        task.exception()


async def _items(feed: Any) -> AsyncIterator[Any]:
    if isinstance(feed, AsyncIterator):
        async for item in feed:
            yield item
    else:
        for item in feed:
            yield item
            await asyncio.sleep(0)


async def _open(what: tuple[Any, ...], flags: int) -> Caller:
    app, action, args, kwargs, options = what
    timeout = HERE.timeout if options.timeout is None else options.timeout
    until = time.monotonic_ns() + int(timeout * 1e9) if timeout else 0
    try:
        hub = await HUBS.get(until)
    except TimeoutError:
        raise unanswered(timeout) from None
    return Caller(hub, plan(app, action, args, kwargs, options, hub.apps.get(app, {}), flags))


async def execute(app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options) -> Any:
    """A unary call; cancelling the task cancels the action."""
    if HERE.executor is not None:
        return await HERE.executor.execute_async(app, action, args, kwargs, options)
    caller = await _open((app, action, args, kwargs, options), 0)
    try:
        frame = await caller.begin()
        if frame.kind == _wire.RESULT:
            wire = caller.wire
            assert wire is not None
            value = wire.channel.value(frame, caller.plan)
            wire.channel.arena.trim()
            caller.settle(frame)
            return value
        if frame.kind == _wire.ERROR:
            caller.settle(frame)
            raise error_of(frame)
        raise DirtyProtocolError(f"A worker answered with frame {frame.kind}")
    finally:
        caller.close()


class DirtyAsyncStream:
    """The chunks of a streaming action: `async for`, or `async with`; leaving early cancels the action."""

    def __init__(self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options) -> None:
        self._what = (app, action, args, kwargs, options)
        self._caller: Caller | None = None
        self._first: Frame | None = None
        self._over = False

    def __aiter__(self) -> DirtyAsyncStream:
        return self

    async def __anext__(self) -> Any:
        if self._over:
            raise StopAsyncIteration
        try:
            frame = await self._next()
            caller = self._caller
            assert caller is not None
            if frame.kind == _wire.CHUNK:
                return await self._chunk(caller, frame)
        except BaseException:
            self.close()
            raise
        try:
            caller.settle(frame)
            if frame.kind == _wire.ERROR:
                raise error_of(frame)
            if frame.kind != _wire.END:
                raise DirtyProtocolError(f"A worker answered a stream with frame {frame.kind}")
        finally:
            self.close()
        raise StopAsyncIteration

    async def _next(self) -> Frame:
        if self._caller is None:
            self._caller = await _open(self._what, STREAM)
            return await self._caller.begin()
        try:
            return await self._caller.next()
        except Gone:
            raise await self._caller.gone_in_stream() from None
        except TimeoutError:
            raise self._caller.plan.expired("stream") from None

    async def _chunk(self, caller: Caller, frame: Frame) -> Any:
        wire = caller.wire
        assert wire is not None
        value = wire.channel.value(frame, caller.plan)
        credit = wire.channel.taken(frame, caller.plan)
        if credit:
            try:
                await wire.send(credit, caller.plan.deadline)
            except Gone:
                return value  # the next read tells what happened
        return value

    def close(self) -> None:
        """Read no more; the action is interrupted if it still runs."""
        self._over = True
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.close()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    async def __aenter__(self) -> DirtyAsyncStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        caller = self._caller
        if caller is not None and caller.wire is not None:
            loop = caller._hub._loop  # noqa: SLF001
            if not loop.is_closed():
                loop.call_soon_threadsafe(caller.close)
