"""Apps in this process, and calls of them run as a worker of the pool runs its own.

For executors other than the pool: whatever carries a `Parcel` here gets the answer's `Packed` back. Threads may
run calls side by side; the caller's deadline is judged by whoever waits for the answer, who may `interrupt`.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from hostler_dirty import _app, _hosting, _parcel, _placement, codecs
from hostler_dirty._app import Call, DirtyCancelled, DirtyDeadlineExceeded, Marks, path_of
from hostler_dirty._calling import Options, Plan, plan
from hostler_dirty._chunks import Chunks
from hostler_dirty._hosting import Hosted, Loop
from hostler_dirty._interrupts import Interrupts
from hostler_dirty._parcel import Packed, Parcel
from hostler_dirty.errors import (
    DirtyAppNotFoundError,
    DirtyCancelledError,
    DirtyError,
    DirtyTimeoutError,
    DirtyUsageError,
)

logger = logging.getLogger("hostler.dirty")

REMEMBERED = 1000
"""So many interrupts are kept of calls that have not begun."""


def plan_call(
    infos: Mapping[str, dict[str, Any]],
    app: str,
    action: str,
    args: Any,
    kwargs: dict[str, Any],
    options: Options,
) -> Plan:
    """What a caller knows of its call before it goes anywhere: deadline, codec, input stream, marks.

    `infos` is a host's `infos`. Raises DirtyAppNotFoundError.
    """
    info = infos.get(app)
    if info is None:
        raise DirtyAppNotFoundError(app)
    return plan(app, action, args, kwargs, options, info, 0)


class Host:
    """Apps, opened here. Its methods may be called from any thread."""

    def __init__(
        self, apps: Sequence[str | type], *, codec: str = codecs.DEFAULT, max_payload: int = 256 << 20
    ) -> None:
        """`apps`: as in `dirty_apps`, or classes. Raises what their import raises, and DirtyConfigError."""
        self._limit = max_payload
        self._loop = Loop()
        self._interrupts = Interrupts()
        self._lock = threading.Lock()
        self._running: dict[int, Call] = {}
        self._early: dict[int, type[DirtyCancelled]] = {}
        self.apps: dict[str, Hosted] = {}
        for app in apps:
            path = path_of(app) if isinstance(app, type) else _placement.parse(app).path
            cls = app if isinstance(app, type) else _hosting.load_class(path)
            self.apps[path] = Hosted(path, cls, codec)
        self.infos: dict[str, dict[str, Any]] = {
            path: {**_app.describe(hosted.cls), **hosted.spoken()} for path, hosted in self.apps.items()
        }
        """Path -> what callers must know of the app, as plain values."""

    @property
    def stashes(self) -> list[str]:
        """The stash tables that the apps want to be there."""
        return [table for info in self.infos.values() for table in info["stashes"] or ()]

    def open(self) -> None:
        """Construct every app, `init` and `warmup`. Raises what they raise."""
        for hosted in self.apps.values():
            hosted.open(self._loop)

    def close(self) -> None:
        """`close` of every app that was opened, the last first."""
        try:
            for hosted in reversed(list(self.apps.values())):
                hosted.close(self._loop)
        finally:
            self._loop.close()

    def healthy(self) -> bool:
        """What every app's `health` says."""
        return all(hosted.healthy(self._loop) for hosted in self.apps.values())

    def run(self, parcel: Parcel, feed: Any = None) -> Packed:
        """The answer. `feed` is the input stream, if there is one: an iterator of any kind.

        Raises DirtyError's subclasses, and exceptions that the app's `reraise` allows.
        """
        running = _Running(self, parcel, feed)
        try:
            result = running.result()
            if _hosting.is_stream(result):
                stream = running.chunks(result)
                if not parcel.collect:
                    stream.close()  # type: ignore[attr-defined]
                    raise DirtyUsageError(
                        f"{parcel.app}.{parcel.action} answers with a stream: use stream(), or options(collect=True)"
                    )
                result = list(stream)
            return running.packed(result)
        finally:
            running.end()

    def stream(self, parcel: Parcel, feed: Any = None) -> Chunks:
        """The answer's chunks; a plain answer is one chunk.

        Each step may be made by another thread, and any may close it: the action is interrupted, its generator closed.
        """
        return Chunks(lambda _: self._stream(parcel, feed), lambda: self.interrupt(parcel.id))

    def _stream(self, parcel: Parcel, feed: Any) -> Iterator[Packed]:
        running = _Running(self, parcel, feed)
        try:
            result = running.result()
            if not _hosting.is_stream(result):
                yield running.packed(result)
                return
            chunks = running.chunks(result)
            try:
                for chunk in chunks:
                    yield running.packed(chunk)
            finally:
                chunks.close()  # type: ignore[attr-defined]
        finally:
            running.end()

    def interrupt(self, call: int, why: type[DirtyCancelled] = DirtyCancelled) -> None:
        """Have the action of this call interrupted, unless it runs in the main thread or native code."""
        with self._lock:
            running = self._running.get(call)
            if running is None:  # it has not begun, or it has ended, and then nobody asks
                self._early[call] = why
                while len(self._early) > REMEMBERED:
                    del self._early[next(iter(self._early))]
        if running is not None:
            self._interrupts.interrupt(running, why)

    # -- for what runs here -----------------------------------------------------------------------------

    def begin(self, call: Call) -> None:
        with self._lock:
            self._running[call.id] = call
            call.interrupt = self._early.pop(call.id, None)
            call.cancelled = call.interrupt is not None

    def end(self, call: Call) -> None:
        with self._lock:
            self._running.pop(call.id, None)

    def step(self, call: Call, function: Callable[[], Any]) -> Any:
        """Run a piece of the call in this thread; while it runs it can be interrupted."""
        if call.interrupt is not None:
            raise call.interrupt
        _app.set_running(call)
        thread = threading.get_ident()
        if thread == threading.main_thread().ident:  # it is not ours to interrupt
            return function()
        try:
            self._interrupts.arm(call, thread)
            return function()
        finally:
            self._interrupts.disarm(call)

    @property
    def loop(self) -> Loop:
        return self._loop

    @property
    def limit(self) -> int:
        return self._limit


class _Running:
    """One call while it runs."""

    def __init__(self, host: Host, parcel: Parcel, feed: Any) -> None:
        hosted = host.apps.get(parcel.app)
        if hosted is None:
            raise DirtyAppNotFoundError(parcel.app)
        self._host, self._parcel, self._hosted = host, parcel, hosted
        self._context = contextvars.copy_context()
        self._function, self._marks = hosted.action(parcel.action)
        self._codec = None if parcel.arguments.codec == codecs.DEFAULT else hosted.codec
        args, kwargs = _parcel.unpack(parcel.arguments, self._codec)
        items = None if feed is None else Items(feed, self._codec, host.limit)
        self._args, self._kwargs = _parcel.with_feed(parcel.place, args, kwargs, items)
        self._call = Call(
            parcel.id, parcel.app, parcel.action, parcel.deadline_ns, parcel.attempt, priority=parcel.priority,
            trace=parcel.trace,
        )  # fmt: skip
        left = parcel.left()
        if left is not None and left <= 0:
            raise DirtyTimeoutError("The deadline passed before the call began", stage="queue")
        host.begin(self._call)

    def result(self) -> Any:
        """What the action returns."""
        args, kwargs, marks = self._args, self._kwargs, self._marks
        if marks.batch:
            args, kwargs = [[value] for value in args], {name: [value] for name, value in kwargs.items()}
        result = self._guarded(lambda: self._called(args, kwargs))
        return self._only(result, marks) if marks.batch else result

    def _called(self, args: Any, kwargs: Any) -> Any:
        result = self._function(*args, **kwargs)
        return self._host.loop.run(result, self._call) if inspect.iscoroutine(result) else result

    def _only(self, result: Any, marks: Marks) -> Any:
        """The one item of a batch of one."""
        items = list(result) if isinstance(result, (list, tuple)) else []
        if len(items) != 1:
            raise _hosting.app_error(
                TypeError("it is batched: it must return one item for each call"),
                self._parcel.app,
                self._parcel.action,
            )
        if isinstance(items[0], BaseException):
            raise _hosting.app_error(items[0], self._parcel.app, self._parcel.action)
        return items[0]

    def chunks(self, result: Any) -> Iterator[Any]:
        """The chunks, each made under the same guard."""
        stream = _hosting.as_iterator(result, self._host.loop, self._call)
        done = object()
        try:
            while (chunk := self._guarded(lambda: next(stream, done))) is not done:
                yield chunk
        finally:
            try:
                self._context.run(self._close, stream)
            except Exception:
                logger.exception(
                    "%s.%s: its stream failed when it was closed", self._call.app, self._call.action
                )

    def _close(self, stream: Any) -> None:
        _app.set_running(self._call)
        stream.close()

    def packed(self, value: Any) -> Packed:
        return _parcel.pack(value, self._codec, self._host.limit)

    def end(self) -> None:
        self._host.end(self._call)

    def _guarded(self, function: Callable[[], Any]) -> Any:
        call = self._call
        try:
            return self._context.run(self._host.step, call, function)
        except DirtyCancelled as interrupt:
            if isinstance(interrupt, DirtyDeadlineExceeded) or call.interrupt is DirtyDeadlineExceeded:
                raise DirtyTimeoutError(
                    f"{call.app}.{call.action} was interrupted at its deadline", stage="run"
                ) from None
            raise DirtyCancelledError(f"{call.app}.{call.action} was cancelled") from None
        except Exception as error:
            if isinstance(error, self._hosted.reraise):
                raise
            raise _hosting.app_error(error, call.app, call.action) from error


class Items:
    """An input stream as the action reads it, plainly or asynchronously; every item goes through the codec."""

    def __init__(self, feed: Any, codec: codecs.Codec | None, limit: int) -> None:
        self._feed, self._codec, self._limit = feed, codec, limit

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            item = next(self._feed)
        except StopIteration:
            raise
        except Exception as error:
            raise DirtyError(f"the caller's input stream failed: {error!r}") from error
        return _parcel.unpack(_parcel.pack(item, self._codec, self._limit), self._codec)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        done = object()
        value = await asyncio.get_running_loop().run_in_executor(None, next, self, done)
        if value is done:
            raise StopAsyncIteration
        return value


class Pulled:
    """An asynchronous input stream of a caller's loop, read plainly from another thread."""

    def __init__(self, feed: AsyncIterator[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._feed, self._loop = feed, loop

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        done = object()

        async def step() -> Any:
            try:
                return await self._feed.__anext__()
            except StopAsyncIteration:
                return done

        value = asyncio.run_coroutine_threadsafe(step(), self._loop).result()
        if value is done:
            raise StopIteration
        return value


def plain(feed: Any, loop: asyncio.AbstractEventLoop | None = None) -> Any:
    """The input stream of a caller in this event loop, as one that another thread can read. Raises DirtyUsageError."""
    if isinstance(feed, AsyncIterator) and not isinstance(feed, Iterator):
        if loop is None:
            raise DirtyUsageError("an asynchronous input stream needs execute_async() or stream_async()")
        return Pulled(feed, loop)
    return feed


def late(the_plan: Plan) -> bool:
    """The call's deadline has passed."""
    return bool(the_plan.deadline) and time.monotonic_ns() > the_plan.deadline
