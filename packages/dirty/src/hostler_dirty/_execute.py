"""One call in a worker, from its CALL frame to its answer. It knows channels and apps, no epoll and no lease table."""

from __future__ import annotations

import inspect
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hostler_dirty import _app, _codec, _hosting, _line, _parcel, _payload, _wire
from hostler_dirty._app import Call, DirtyCancelled, DirtyDeadlineExceeded, Marks
from hostler_dirty._hosting import Hosted
from hostler_dirty._served import Feeding, Served
from hostler_dirty._wire import CODED, COLLECT, FED, KEPT, RETAINED, STREAM, Frame
from hostler_dirty.errors import (
    DirtyAppError,
    DirtyAppNotFoundError,
    DirtyCancelledError,
    DirtyError,
    DirtyProtocolError,
    DirtySerializationError,
    DirtyTimeoutError,
    DirtyUsageError,
    describe,
)

if TYPE_CHECKING:
    from hostler_dirty._runtime import Runtime
    from hostler_dirty.codecs import Codec

logger = logging.getLogger("hostler.dirty")


@dataclass(slots=True, eq=False)
class Job:
    """A call with what it needs to run; `args` and `kwargs` are given up when it runs."""

    channel: Served
    call: Call
    flags: int
    lease: int
    group: int
    size: int
    args: Any
    kwargs: Any
    shared: bool
    codec: Codec | None = None
    """The call's and its answer's; None: the pool's own."""
    refusal: DirtyError | None = None
    """Why its arguments cannot be had."""
    marks: Marks = field(default_factory=Marks)
    function: Any = None
    path: str = ""
    began: int = 0
    """How long it ran, nanoseconds; 0: it has not."""
    index: int = 0
    """The executing thread's number."""
    came: int = 0
    went: int = 0
    outcome: str = "ok"
    """For the figures, with the octets that came and went."""


class Executor:
    """Runs calls in the thread that asks it to."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def begin(self, channel: Served, frame: Frame, index: int, thread: int) -> bool:
        """Run the call of the frame; True: it waits for its batch, and the channel with it."""
        runtime = self._runtime
        try:
            job = self._job(channel, frame)
            if channel.outside:
                self._doubt(job)
        except (DirtyProtocolError, TypeError, AttributeError) as error:
            logger.warning("dirty worker %d: a caller was cut off: %s", runtime.slot, error)
            channel.dead = True
            return False
        except (MemoryError, OSError) as error:
            self._no_room(channel, frame, error)
            return False
        if not self._claim(job):
            channel.send(_wire.pack(_wire.STALE, frame.call, deadline=job.lease), runtime.stall)
            return False
        hosted = runtime.apps.get(job.call.app)
        job.index, job.came = index, _payload.octets(frame)
        try:
            if hosted is None:
                raise DirtyAppNotFoundError(job.call.app)
            if job.refusal is not None:
                raise job.refusal
            job.function, job.marks = hosted.action(job.call.action)
            job.path = hosted.path
        except DirtyError as error:
            self.refuse(job, error, "not_found" if isinstance(error, DirtyAppNotFoundError) else "refused")
            return False
        if job.marks.batch:
            runtime.batches.add(job, index, thread)
            return True
        self._run(job, hosted, index, thread)
        return False

    def _doubt(self, job: Job) -> None:
        """Take a caller from outside at nothing but the arbiter's word. Raises DirtyProtocolError."""
        call = job.call
        shape = (job.lease, int), (call.app, str), (call.action, str)
        if not all(isinstance(value, kind) for value, kind in shape):
            raise DirtyProtocolError("A CALL of another shape")
        if job.refusal is None and not (isinstance(job.args, (list, tuple)) and isinstance(job.kwargs, dict)):
            raise DirtyProtocolError("A CALL of another shape")
        batch = job.channel.allowed(job.lease)
        if batch is None:
            raise DirtyProtocolError("A lease that the arbiter knows nothing of")
        job.group, job.size = batch

    def _no_room(self, channel: Served, frame: Frame, error: BaseException) -> None:
        """The arguments do not fit into this process: its caller is told, and the channel ends with what lies in it."""
        told = DirtyAppError(
            f"No memory for the arguments: {error or 'MemoryError'}", error_type="MemoryError"
        )
        body = _line.encode(describe(told))
        channel.send(_wire.pack(_wire.ERROR, frame.call, body, RETAINED), self._runtime.stall)
        channel.dead = True

    def _job(self, channel: Served, frame: Frame) -> Job:
        call = Call(frame.call, "", "", frame.deadline, slot=self._runtime.slot, priority=frame.priority)
        feed = None
        if frame.flags & FED:
            feed = channel.feed = Feeding(channel, call)
            for early in channel.early:
                if early.kind in (_wire.INPUT, _wire.INPUT_END) and early.call == frame.call:
                    feed.put(early)
        channel.early = []
        body, buffers = _payload.extract(frame, channel.window)
        coded = frame.flags & CODED
        value = _codec.decode(body) if coded else _codec.decode(body, buffers, copy=False, feed=feed)
        try:
            lease, group, size, app, action, args, kwargs, options = value
        except (TypeError, ValueError):
            raise DirtyProtocolError("A CALL of another shape") from None
        call.app, call.action = app, action
        if options:
            call.attempt = options.get("attempt", 1)
            call.trace = options.get("trace") or {}
        shared = any(offset != _wire.INLINE for offset, _ in frame.table)
        job = Job(channel, call, frame.flags, lease, group, size, args, kwargs, shared)
        if coded:
            try:
                self._decode(job, app, buffers)
            except DirtyProtocolError:
                raise
            except DirtyError as error:
                job.refusal = error
        return job

    def _decode(self, job: Job, app: str, buffers: list[Any]) -> None:
        """The arguments, by the codec that the call says it was made by, and the input stream in its place."""
        channel, name, place = job.channel, job.args, job.kwargs
        hosted = self._runtime.apps.get(app)
        if hosted is None:
            raise DirtyAppNotFoundError(app)
        codec = hosted.codec
        if codec is None or codec.name != name:
            raise DirtySerializationError(f"{app} does not speak the codec {name!r}: set its attribute codec")
        if channel.outside and not codec.data_only:
            raise DirtySerializationError(
                f"The codec {name!r} is not spoken with callers from outside the server"
            )
        if not buffers:
            raise DirtyProtocolError("Arguments by another codec are announced and missing")
        try:
            args, kwargs = codec.load(buffers[0], buffers[1:], copy=False)
        except (TypeError, ValueError):
            raise DirtyProtocolError("Arguments of another shape") from None
        feed = channel.feed
        if feed is not None:
            feed.codec = codec
        job.codec = codec
        job.args, job.kwargs = _parcel.with_feed(place, args, kwargs, feed)

    def _claim(self, job: Job) -> bool:
        """The lease is good, and the channel is this call's from now on."""
        channel = job.channel
        with self._runtime.lock:
            if job.lease <= channel.revoked or self._runtime.draining:
                return False
            if channel.lease != job.lease:
                channel.lease = job.lease
                channel.since = time.monotonic_ns()
                channel.give_back = not job.flags & KEPT
            channel.call = job.call
            return True

    def _run(self, job: Job, hosted: Hosted, index: int, thread: int) -> None:
        call, channel, runtime = job.call, job.channel, self._runtime
        if call.deadline_ns and call.deadline_ns <= time.monotonic_ns():
            late = DirtyTimeoutError("The deadline passed before the call began", stage="queue")
            self.refuse(job, late, "deadline")
            return
        runtime.started(call, channel, index)
        channel.mark_started(call.id)
        error: DirtyError | None = None
        result: Any = None
        kind = _wire.RESULT
        try:
            kind, result = self._invoke(job, thread)
        except DirtyCancelled as interrupt:
            error = interrupted(interrupt, call)
        except DirtyError as raised:
            error = _hosting.app_error(raised, call.app, call.action) if _from_app(raised) else raised
        except BaseException as raised:  # noqa: BLE001  (the wall around the app)
            error = self._error(raised, hosted, call)
        call.cancel_task = None
        _app.set_running(None)
        if channel.feed is not None:
            job.came += channel.feed.octets
            channel.feed = None
        job.began = runtime.ended(channel, index)
        self.ran(call, job.began, error, index)
        if error is not None:
            self.answer_error(job, error)
        else:
            self.answer(job, kind, result)

    def ran(self, call: Call, took: int, error: DirtyError | None, index: int) -> None:
        """Notes on a call or a batch that has ended: too slow, or interrupted."""
        slow = self._runtime.slow_call
        if slow and took > slow * 1e9:
            logger.warning("slow call: %s.%s took %.1f s", call.app, call.action, took / 1e9)
        if call.interrupt is not None:
            heeded = isinstance(error, (DirtyTimeoutError, DirtyCancelledError))
            result = "raised" if heeded else "swallowed" if call.delivered else "late"
            self._runtime.tally.tables[index].add("interrupt_total", (str(call.slot), result))

    def _invoke(self, job: Job, thread: int) -> tuple[int, Any]:
        call, interrupts = job.call, self._runtime.interrupts
        args, kwargs = job.args, job.kwargs
        job.args = job.kwargs = None
        _app.set_running(call)
        try:
            interrupts.arm(call, thread)
            result = job.function(*args, **kwargs)
            if inspect.iscoroutine(result):
                result = self._runtime.loop.run(result, call)
            if job.flags & STREAM:
                self._stream(job, result)
                return _wire.END, None
            if _hosting.is_stream(result):
                result = self._collect(job, result)
            return _wire.RESULT, result
        finally:
            interrupts.disarm(call)

    def _collect(self, job: Job, result: Any) -> Any:
        stream = _hosting.as_iterator(result, self._runtime.loop, job.call)
        if job.flags & COLLECT:
            return list(stream)
        stream.close()  # type: ignore[attr-defined]
        raise DirtyUsageError(
            f"{job.call.app}.{job.call.action} answers with a stream: use stream(), or options(collect=True)"
        )

    def _stream(self, job: Job, result: Any) -> None:
        call, channel, runtime = job.call, job.channel, self._runtime
        channel.begin_stream()
        if not _hosting.is_stream(result):
            job.went += channel.send_chunk(call, result, runtime.limit, runtime.stall, job.codec)
            return
        stream = _hosting.as_iterator(result, runtime.loop, call)
        began = time.monotonic_ns()
        try:
            for chunk in stream:
                if not job.went:
                    first = time.monotonic_ns() - began
                    table = runtime.tally.tables[job.index]
                    table.observe("time_to_first_chunk_seconds", (call.app, call.action), first)
                job.went += channel.send_chunk(call, chunk, runtime.limit, runtime.stall, job.codec)
        finally:
            # What the app does in its `finally` blocks is not to be cut short by the interrupt that led here.
            call.shields += 1
            try:
                stream.close()  # type: ignore[attr-defined]
            finally:
                call.shields -= 1

    def _error(self, raised: BaseException, hosted: Hosted, call: Call) -> DirtyError:
        error = _hosting.app_error(raised, call.app, call.action)
        if hosted.reraise and isinstance(raised, hosted.reraise):
            error.details["reraise"] = True
            error.details["args"] = [a for a in raised.args if isinstance(a, (str, int, float, bool))]
        return error

    # -- answers ----------------------------------------------------------------------------------------

    def answer(self, job: Job, kind: int, result: Any) -> None:
        """Send the result, and say whether the lease stays with the caller."""
        flags = self._release(job)
        channel, runtime = job.channel, self._runtime
        try:
            if kind == _wire.END:
                data = _wire.pack(_wire.END, job.call.id, flags=flags)
            elif job.codec is None:
                data = _payload.compose(
                    kind, job.call.id, (result,), channel.arena, runtime.limit, flags=flags
                )
            else:
                data = _payload.pack_one(
                    kind, job.call.id, result, job.codec, channel.arena, runtime.limit, flags=flags
                )
        except (DirtyError, MemoryError) as error:
            told = (
                error
                if isinstance(error, DirtyError)
                else _hosting.app_error(error, job.call.app, job.call.action)
            )
            job.outcome = "error"
            data = _wire.pack(_wire.ERROR, job.call.id, _line.encode(describe(told)), flags)
        del result
        self._send(job, data, flags)

    def refuse(self, job: Job, error: DirtyError, reason: str) -> None:
        """Send an error for a call that is not run."""
        self._runtime.tally.tables[job.index].add("rejected_total", (job.call.app, reason))
        self.answer_error(job, error)

    def answer_error(self, job: Job, error: DirtyError) -> None:
        """Send an error instead of a result."""
        job.outcome = _OUTCOMES.get(type(error), "error")
        flags = self._release(job)
        values = describe(error)
        if error.details.get("reraise"):
            values["reraise"], values["args"] = True, error.details["args"]
        job.args = job.kwargs = None
        self._send(job, _wire.pack(_wire.ERROR, job.call.id, _line.encode(values), flags), flags)

    def _release(self, job: Job) -> int:
        """The channel is between calls again; the flags of the answer."""
        channel, runtime = job.channel, self._runtime
        with runtime.lock:
            ending = runtime.draining or channel.dead
            keep = not (channel.give_back or ending)
            if channel.give_back and job.began and not (job.group or ending or channel.outside):
                keep = channel.turns.another(job.began, time.monotonic_ns() - channel.since)
                if keep:
                    runtime.lingering.add(channel, job.lease)
            channel.call = None
            if not keep:
                channel.revoked = job.lease
        return KEPT if keep else 0

    def _send(self, job: Job, data: bytes, flags: int) -> None:
        channel, runtime = job.channel, self._runtime
        if job.shared and channel.window is not None and not channel.window.release():
            patched = bytearray(data)
            patched[4] |= RETAINED  # the low octet of the header's flags
            data = bytes(patched)
        if not channel.dead:
            channel.send(data, runtime.stall)
        if channel.dead or not flags & KEPT:
            runtime.control.send(_wire.pack(_wire.DONE, job.lease, deadline=job.began))
            channel.revoked = max(channel.revoked, job.lease)
        if job.began:
            call, outcome = job.call, job.outcome
            table = runtime.tally.tables[job.index]
            table.call(
                (call.app, call.action, outcome), job.began, job.came, job.went + _payload.octets_of(data)
            )
            if outcome == "cancelled":
                table.add("cancelled_total", ("run",))


_OUTCOMES = {DirtyTimeoutError: "timeout", DirtyCancelledError: "cancelled"}


def interrupted(interrupt: DirtyCancelled, call: Call) -> DirtyError:
    """What an interrupted call answers."""
    if isinstance(interrupt, DirtyDeadlineExceeded) or call.interrupt is DirtyDeadlineExceeded:
        return DirtyTimeoutError(f"{call.app}.{call.action} was interrupted at its deadline", stage="run")
    return DirtyCancelledError(f"{call.app}.{call.action} was cancelled")


def _from_app(error: DirtyError) -> bool:
    """The error came out of the app's own code, not out of what runs it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return name not in (
        "hostler_dirty._execute",
        "hostler_dirty._served",
        "hostler_dirty._payload",
        "hostler_dirty._codec",
    )


_OURS = frozenset(f"hostler_dirty.{name}" for name in ("_execute", "_served", "_payload", "_codec"))
