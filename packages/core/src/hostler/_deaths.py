"""Children that ended: reaped, told about, counted for the back-off; and what a failed start means.

As process 1 of a container the arbiter is given strangers' children too: they are reaped without a word.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING

from hostler import _signals
from hostler._children import WORKER, Child

if TYPE_CHECKING:
    from collections.abc import Callable

    from hostler._nursery import Nursery
    from hostler._state import State

BOOT_CODES = {3: "could not start", 4: "found no application"}
"""gunicorn's exit codes of workers that fail before they serve."""
ATTEMPTS, WINDOW = 10, 60.0
"""So many deaths in so many seconds, without any worker that ever served, end the first start."""


class Deaths:
    """Reaps for one arbiter."""

    def __init__(self, state: State, nursery: Nursery, give_up: Callable[[int, str], None]) -> None:
        """`give_up(exit_code, why)`: the first start has failed."""
        self._state = state
        self._nursery = nursery
        self._give_up = give_up
        self._early: deque[float] = deque(maxlen=ATTEMPTS)
        self.listeners: list[Callable[[Child, str], None]] = []
        """Called with each child that ended and how."""
        self.others: dict[int, Callable[[int], None]] = {}
        """pid -> what to do with the wait status of a process of ours that is no child of the table."""

    def reap(self) -> None:
        """Take every process that ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._state.children.remove(pid)
            if child is not None:
                self._gone(child, status)
            elif pid in self.others:
                self.others.pop(pid)(status)

    def _gone(self, child: Child, status: int) -> None:
        state = self._state
        code = os.waitstatus_to_exitcode(status)
        how = f"killed by {_signals.name(-code)}" if code < 0 else f"exited with code {code}"
        active, said = state.page.active[child.slot], state.page.said(child.slot)
        if code in BOOT_CODES and not child.ready:
            child.refusal = (code, said)
        detail = f" ({said})" if child.refusal[1] else ""
        if child.stopping and code == 0:
            state.log.info("%s ended", child)
        else:
            say = state.log.info if code == 0 and child.stopping else state.log.error
            flight = f"; requests in flight: {active}" if child.kind == WORKER else ""
            say("%s %s%s%s", child, how, detail, flight)
            state.note(f"{child} {how}{detail}")
        os.close(child.stacks)
        state.page.clear(child.slot)
        state.page.used = state.children.highest_slot() + 1
        if state.leaver is child:
            state.leaver = None
        if child.kind == WORKER:
            state.plan.hooks.call("child_exit", state.server, child.handle)
            self._worker_gone(child, code, said)
        for listener in self.listeners:
            listener(child, f"{how}{detail}")

    def _worker_gone(self, child: Child, code: int, said: str) -> None:
        state = self._state
        now = time.monotonic()
        if child.stopping or state.stopping:
            return
        if child.generation == state.plan.generation:
            self._nursery.backoff.failed(now, now - child.ready_at if child.ready else 0.0)
        if state.ready or child.ready:
            return
        if code in BOOT_CODES:
            self._give_up(
                code, f"a worker {BOOT_CODES[code]}: {said}" if said else f"a worker {BOOT_CODES[code]}"
            )
            return
        self._early.append(now)
        if len(self._early) == ATTEMPTS and now - self._early[0] <= WINDOW:
            self._give_up(3, f"{ATTEMPTS} workers in a row ended before they served")
