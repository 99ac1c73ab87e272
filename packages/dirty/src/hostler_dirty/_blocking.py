"""One call of a blocking caller, from its lease to its answer, and the stream that it may be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from hostler_dirty import _wire
from hostler_dirty._calling import (
    ATTEMPTS,
    FEED_WINDOW,
    Channel,
    Options,
    Plan,
    error_of,
    forget_asyncio,
    lost,
    next_id,
    plan,
    unanswered,
)
from hostler_dirty._lines import PILE, Gone, is_past
from hostler_dirty._place import HERE
from hostler_dirty._wire import KEPT, RETAINED, STREAM, Frame
from hostler_dirty.errors import DirtyProtocolError


class Caller:
    """A line in the hands of one call. `close` puts it back, whatever happened."""

    def __init__(
        self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options, flags: int
    ) -> None:
        forget_asyncio(options)
        timeout = HERE.timeout if options.timeout is None else options.timeout
        until = time.monotonic_ns() + int(timeout * 1e9) if timeout else 0
        try:
            self._line = PILE.take(app, until)
        except TimeoutError:
            raise unanswered(timeout) from None
        if options.left is not None:
            self._line.watch(options.left)
        self.plan = plan(app, action, args, kwargs, options, self._line.apps.get(app, {}), flags)
        self._feeder = Feeder(self.plan) if self.plan.feed is not None else None
        self.channel: Channel | None = None

    def begin(self) -> list[Frame]:
        """Have the call begun by a worker; the first frames of its answer."""
        while True:
            try:
                channel = self._send()
                frames = self.receive()
            except Gone:
                self._gone()
                continue
            except TimeoutError:
                raise self._late() from None
            except BaseException:
                self._give_up()
                raise
            if frames[0].kind != _wire.STALE:
                return frames
            if self._feeder is not None and self._feeder.begun:
                self._give_up()  # its items went with it
                raise lost({"reason": "its worker takes no more calls"}, self.plan)
            self._line.kept.pop(self.plan.app, None)
            channel.lease = 0
            if channel.unread(frames[0]):
                self._line.drop(channel)
            self.plan.id, self.plan.renewed = next_id(), True

    def _send(self) -> Channel:
        the_plan, line = self.plan, self._line
        self.channel = channel = None
        if the_plan.roams:
            channel = line.kept.get(the_plan.app)
        keep = True
        if channel is None:
            channel, keep = line.lease(the_plan)
        self.channel = channel
        try:
            data = channel.call(the_plan, keep=keep)
        except BaseException:
            self.channel = None
            if keep:
                self._keep(channel)
            else:
                line.unlease(the_plan)
            raise
        line.send(channel, data, the_plan.deadline)
        return channel

    def receive(self) -> list[Frame]:
        """The next frames of the answer; meanwhile the input stream is sent. Raises Gone, TimeoutError."""
        channel, feeder = self.channel, self._feeder
        assert channel is not None
        while feeder is not None and feeder.ready():
            frames = feeder.sift(self._line.receive_now(channel))
            if frames:
                return frames
            self._line.send(channel, feeder.step(), self.plan.deadline)
        while True:
            frames = self._line.receive(channel, self.plan)
            if feeder is None:
                return frames
            frames = feeder.sift(frames)
            if frames or feeder.ready():
                return frames or self.receive()

    def _gone(self) -> None:
        """The other side closed: decide whether the call is tried again."""
        the_plan, channel = self.plan, self.channel
        if channel is None:  # the arbiter, and with it the whole line
            the_plan.renewed = True
            if self._line.closed:
                self._line = PILE.fresh(the_plan.deadline)
                self._line.watch(the_plan.options.left)
            return
        began, worker = channel.began(the_plan.id), channel.worker
        self._line.drop(channel)
        self.channel = None
        if is_past(the_plan.deadline):
            raise the_plan.expired("run")
        again = (not began or (the_plan.idempotent and the_plan.attempt == 1)) and the_plan.attempt < ATTEMPTS
        if not again or (self._feeder is not None and self._feeder.begun):
            fate = {} if self._line.closed else self._line.fate(worker)
            raise lost(fate, the_plan)
        the_plan.attempt += 1
        the_plan.id = next_id()

    def gone_in_stream(self) -> BaseException:
        """The error of a stream whose worker went away in it."""
        channel = self.channel
        assert channel is not None
        self._line.drop(channel)
        self.channel = None
        if is_past(self.plan.deadline):
            return self.plan.expired("stream")
        return lost(self._line.fate(channel.worker), self.plan)

    def _late(self) -> BaseException:
        channel = self.channel
        stage = "run" if channel is not None and channel.began(self.plan.id) else "queue"
        self._give_up()
        return self.plan.expired(stage)

    def _give_up(self) -> None:
        """Leave nothing behind: the channel is closed, or the wait for a lease ended."""
        if self.channel is not None:
            self._line.drop(self.channel)
            self.channel = None
        elif not self._line.closed:
            try:
                self._line.unlease(self.plan)
            except Gone:
                return

    def settle(self, frame: Frame) -> None:
        """The answer's last frame came: keep the lease if it is ours still."""
        channel = self.channel
        assert channel is not None
        self.channel = None
        if frame.call != self.plan.id:
            self._line.drop(channel)
            raise DirtyProtocolError("An answer to another call")
        if frame.flags & RETAINED:
            self._line.drop(channel)
        elif frame.flags & KEPT:
            self._keep(channel)
        else:
            channel.lease = 0
            if self._line.kept.get(self.plan.app) is channel:
                del self._line.kept[self.plan.app]

    def _keep(self, channel: Channel) -> None:
        channel.app = self.plan.app
        self._line.kept[channel.app] = channel

    def credit(self, data: bytes) -> None:
        """Tell the worker what was read of a stream."""
        assert self.channel is not None
        self._line.send(self.channel, data, self.plan.deadline)

    def close(self) -> None:
        """The line goes back to the pile; what is still open on it is given up."""
        if self.channel is not None:
            self._give_up()
        if self._line.left is not None:
            self._line.watch(None)
        PILE.put(self._line)


class Feeder:
    """An input stream being sent: `step` gives the next frame while the worker has room."""

    def __init__(self, the_plan: Plan) -> None:
        self._plan = the_plan
        self._items: Iterator[Any] = iter(the_plan.feed)
        self._room = FEED_WINDOW
        self._over = False
        self.begun = False

    def ready(self) -> bool:
        return self._room > 0 and not self._over

    def step(self) -> bytes:
        """The next INPUT frame, or the last one."""
        self.begun = True
        try:
            item = next(self._items)
        except StopIteration:
            self._over = True
            return _wire.pack(_wire.INPUT_END, self._plan.id)
        self._room -= 1
        return self._plan.item(item)

    def sift(self, frames: list[Frame]) -> list[Frame]:
        """Take the credits out of what came."""
        rest = []
        for frame in frames:
            if frame.kind == _wire.CREDIT:
                self._room += frame.deadline >> 32
            else:
                rest.append(frame)
        return rest


def execute(app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options) -> Any:
    """A unary call."""
    if HERE.executor is not None:
        forget_asyncio(options)
        return HERE.executor.execute(app, action, args, kwargs, options)
    caller = Caller(app, action, args, kwargs, options, 0)
    try:
        frame = caller.begin()[0]
        if frame.kind == _wire.RESULT:
            channel = caller.channel
            assert channel is not None
            value = channel.value(frame, caller.plan)
            caller.settle(frame)
            channel.arena.trim()
            return value
        if frame.kind == _wire.ERROR:
            caller.settle(frame)
            raise error_of(frame)
        raise DirtyProtocolError(f"A worker answered with frame {frame.kind}")
    finally:
        caller.close()


class DirtyStream:
    """The chunks of a streaming action: iterate, or use as a context manager; leaving early cancels the action."""

    def __init__(self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options) -> None:
        self._what = (app, action, args, kwargs, options)
        self._caller: Caller | None = None
        self._frames: list[Frame] = []
        self._over = False

    def __iter__(self) -> DirtyStream:
        return self

    def __next__(self) -> Any:
        if self._over:
            raise StopIteration
        try:
            frame = self._next()
            if frame.kind == _wire.CHUNK:
                return self._chunk(frame)
        except BaseException:
            self.close()
            raise
        caller = self._caller
        assert caller is not None
        try:
            caller.settle(frame)
            if frame.kind == _wire.ERROR:
                raise error_of(frame)
            if frame.kind != _wire.END:
                raise DirtyProtocolError(f"A worker answered a stream with frame {frame.kind}")
        finally:
            self.close()
        raise StopIteration

    def _next(self) -> Frame:
        if self._caller is None:
            self._caller = Caller(*self._what, STREAM)
            self._frames = self._caller.begin()
        while not self._frames:
            try:
                self._frames = self._caller.receive()
            except Gone:
                raise self._caller.gone_in_stream() from None
            except TimeoutError:
                raise self._caller.plan.expired("stream") from None
        return self._frames.pop(0)

    def _chunk(self, frame: Frame) -> Any:
        caller = self._caller
        assert caller is not None
        channel = caller.channel
        assert channel is not None
        value = channel.value(frame, caller.plan)
        credit = channel.taken(frame, caller.plan)
        if credit:
            try:
                caller.credit(credit)
            except Gone:
                return value  # the next read tells what happened
        return value

    def close(self) -> None:
        """Read no more; the action is interrupted if it still runs."""
        self._over = True
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.close()

    def __enter__(self) -> DirtyStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


__all__ = ["Caller", "DirtyStream", "execute"]
