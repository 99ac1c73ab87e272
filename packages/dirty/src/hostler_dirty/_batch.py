"""Batches in a worker: calls that came for one group run together, as one call of the method.

The arbiter chose the members and each of them says how many there are; who does not come within PATIENCE is
not waited for. This module knows no scheduling.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hostler_dirty import _app, _hosting, _wire
from hostler_dirty._app import Call, DirtyCancelled
from hostler_dirty.errors import DirtyAppError, DirtyError, DirtyTimeoutError

if TYPE_CHECKING:
    from hostler_dirty._execute import Job
    from hostler_dirty._runtime import Runtime

PATIENCE = 0.02
"""Seconds: the members were told at the same moment, so they are a few milliseconds apart at most."""


@dataclass(slots=True)
class _Box:
    size: int
    expires: float
    jobs: list[Job] = field(default_factory=list)


class Batches:
    """The groups that wait for their members."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._boxes: dict[int, _Box] = {}
        self._past: deque[int] = deque(maxlen=256)
        self._lock = threading.Lock()

    def timeout(self) -> float:
        """How long an executor may sleep, seconds; -1: as long as it likes."""
        boxes = self._boxes
        if not boxes:
            return -1
        with self._lock:
            return max(0.0, min((b.expires for b in boxes.values()), default=0.0) - time.monotonic())

    def add(self, job: Job, index: int, thread: int) -> None:
        """A member has come; the last one runs the batch."""
        runtime = self._runtime
        runtime.watch_channel(job.channel)
        with self._lock:
            alone = not job.group or job.size <= 1 or job.group in self._past
            if not alone:
                box = self._boxes.get(job.group)
                if box is None:
                    box = self._boxes[job.group] = _Box(job.size, time.monotonic() + PATIENCE)
                box.jobs.append(job)
                if len(box.jobs) < box.size:
                    return
                del self._boxes[job.group]
                self._past.append(job.group)
                jobs = box.jobs
        self._run_all([job] if alone else jobs, index, thread)

    def run_due(self, index: int, thread: int) -> None:
        """Run the batches whose missing members are waited for no more."""
        while self._boxes:
            with self._lock:
                now = time.monotonic()
                due = next((g for g, box in self._boxes.items() if box.expires <= now), None)
                if due is None:
                    return
                box = self._boxes.pop(due)
                self._past.append(due)
            self._run_all(box.jobs, index, thread)

    def _run_all(self, jobs: list[Job], index: int, thread: int) -> None:
        """One call per shape of arguments; usually there is one shape."""
        shapes: dict[Any, list[Job]] = {}
        now = time.monotonic_ns()
        table = self._runtime.tally.tables[index]
        for job in jobs:
            job.index = index
            if job.channel.dead:
                table.add("cancelled_total", ("batch",))
                self._answer(job, error=interrupted_before())
            elif job.call.deadline_ns and job.call.deadline_ns <= now:
                late = DirtyTimeoutError("The deadline passed before the batch began", stage="queue")
                table.add("rejected_total", (job.call.app, "deadline"))
                self._answer(job, error=late)
            else:
                shapes.setdefault((job.path, job.call.action, len(job.args), *sorted(job.kwargs)), []).append(
                    job
                )
        for members in shapes.values():
            self._run(members, index, thread)

    def _run(self, jobs: list[Job], index: int, thread: int) -> None:
        runtime, first = self._runtime, jobs[0]
        deadlines = [job.call.deadline_ns for job in jobs]
        call = Call(
            first.call.id,
            first.call.app,
            first.call.action,
            max(deadlines) if all(deadlines) else 0,
            slot=runtime.slot,
            trace=first.call.trace,
        )
        runtime.tally.tables[index].observe("batch_size", (call.app, call.action), len(jobs))
        args = [[job.args[i] for job in jobs] for i in range(len(first.args))]
        kwargs = {name: [job.kwargs[name] for job in jobs] for name in first.kwargs}
        for job in jobs:
            job.channel.mark_started(job.call.id)
            job.args = job.kwargs = None
        runtime.publish(call, first.channel, index)
        results: list[Any] | None = None
        error: DirtyError | None = None
        try:
            results = self._invoke(call, first.function, args, kwargs, len(jobs), thread)
        except DirtyCancelled:
            error = DirtyTimeoutError("The batch was interrupted at its deadline", stage="run")
        except BaseException as raised:  # noqa: BLE001  (the wall around the app)
            error = _hosting.app_error(raised, call.app, call.action)
        del args, kwargs
        _app.set_running(None)
        took = runtime.retract(index)
        runtime.executor.ran(call, took, error, index)
        for position, job in enumerate(jobs):
            job.began = took
            item = results[position] if results is not None else None
            if results is not None and isinstance(item, BaseException):
                self._answer(job, error=_hosting.app_error(item, call.app, call.action))
            else:
                self._answer(job, result=item, error=error)

    def _invoke(
        self, call: Call, function: Any, args: Any, kwargs: Any, count: int, thread: int
    ) -> list[Any]:
        runtime = self._runtime
        _app.set_running(call)
        try:
            runtime.interrupts.arm(call, thread)
            result = function(*args, **kwargs)
            if inspect.iscoroutine(result):
                result = runtime.loop.run(result, call)
        finally:
            runtime.interrupts.disarm(call)
        try:
            items = list(result)
        except TypeError:
            items = []
        if len(items) != count:
            raise DirtyAppError(
                f"{call.app}.{call.action} is batched: it must return one item for each of its {count} calls"
            )
        return items

    def _answer(self, job: Job, result: Any = None, error: DirtyError | None = None) -> None:
        runtime = self._runtime
        runtime.unwatch_channel(job.channel)
        if error is not None:
            runtime.executor.answer_error(job, error)
        else:
            runtime.executor.answer(job, _wire.RESULT, result)
        runtime.rearm(job.channel)


def interrupted_before() -> DirtyError:
    """For a member whose caller has left; nobody reads it."""
    return DirtyError("the caller has gone")
