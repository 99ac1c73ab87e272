"""Deadlines of children: readiness, signs of life, ends that take too long. All on the monotonic clock.

A child that is stuck is first asked for the stacks of its threads, then aborted (its hook `worker_abort` runs
if its interpreter still does), then killed.
"""

from __future__ import annotations

import math
import os
import signal
from typing import TYPE_CHECKING

from hostler import _signals
from hostler._children import Child
from hostler._heartbeat import LEAVING, READY
from hostler._nursery import signal_child

if TYPE_CHECKING:
    from hostler._state import State

DUMP = 0.3
"""Seconds that a stuck child gets to write its stacks."""
ABORT = 1.0
"""Seconds between ABRT and KILL."""
AMNESTY = 2.0
"""Seconds of patience after the arbiter itself was held up: a machine that wakes must not murder its workers."""
MOST_STACKS = 64 * 1024


class Deadlines:
    """Looks after the clocks of one arbiter's children."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._amnesty = 0.0

    def held_up(self, now: float) -> None:
        """The arbiter was stopped or starved: children may have been as well."""
        self._amnesty = now + AMNESTY

    def look(self, now: float) -> None:
        """Note who became ready or asks to leave, and act on what is overdue."""
        page = self._state.page
        for child in self._state.children:
            flags = page.flags[child.slot]
            if flags & READY and not child.ready:
                child.ready, child.ready_at = True, now
                self._state.log.info("%s ready after %.1f s", child, now - child.started)
            if flags & LEAVING and not child.stopping:
                self._wants_out(child)
            self._overdue(child, now)

    def next_due(self) -> float:
        """The earliest deadline of any child."""
        page = self._state.page
        due = math.inf
        for child in self._state.children:
            if child.stuck_stage < 3:
                due = min(due, child.stop_by, child.stuck_at)
            if child.stuck_stage == 0:
                due = min(due, max(page.deadline[child.slot], self._amnesty))
        return due

    def _wants_out(self, child: Child) -> None:
        if self._state.leaver is None and child.generation == self._state.plan.generation:
            child.reason = self._state.page.said(child.slot)
            self._state.leaver = child
            self._state.log.info("%s is to be replaced: %s", child, child.reason)

    def _overdue(self, child: Child, now: float) -> None:
        if child.stuck_stage == 3:
            return
        if now >= child.stop_by:
            self._state.log.warning("%s did not end in time: killed", child)
            self._kill(child)
        elif child.stuck_stage and now >= child.stuck_at:
            self._next_stage(child, now)
        elif not child.stuck_stage and now >= self._amnesty and self._state.page.deadline[child.slot] <= now:
            why = "gave no sign of life in time" if child.ready else "was not ready in time"
            self._state.log.critical("%s %s: aborting it", child, why)
            self._state.note(f"{child} {why}")
            child.stuck_stage, child.stuck_at = 1, now + DUMP
            signal_child(child, _signals.STACKS)

    def _next_stage(self, child: Child, now: float) -> None:
        if child.stuck_stage == 1:
            stacks = read_stacks(child)
            if stacks:
                self._state.log.error("%s: stacks, innermost call first:\n%s", child, stacks)
            child.stuck_stage, child.stuck_at = 2, now + ABORT
            signal_child(child, signal.SIGABRT)
        else:
            self._kill(child)

    def _kill(self, child: Child) -> None:
        child.stuck_stage, child.stuck_at, child.stop_by = 3, math.inf, math.inf
        signal_child(child, signal.SIGKILL)


def read_stacks(child: Child, start: int = 0) -> str:
    """What a child wrote behind `start`, when it was asked for its stacks; empty when it could not."""
    try:
        size = os.fstat(child.stacks).st_size
        text = os.pread(child.stacks, MOST_STACKS, max(start, size - MOST_STACKS))
    except OSError:
        return ""
    return text.decode(errors="replace").strip()
