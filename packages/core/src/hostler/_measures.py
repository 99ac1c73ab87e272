"""Figures of the whole server for loggers that send some: workers, and connections that wait. Once a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hostler._state import State

INTERVAL = 1.0


class Measures:
    """A chore of the arbiter's loop."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._next = 0.0

    def turn(self) -> bool:
        """Send what is due; never asks for another round."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + INTERVAL
        state = self._state
        log = state.plan.log
        log.measure("workers", sum(child.ready for child in state.children.workers()))
        waiting = [listener.waiting() for listener in state.plan.listeners if not listener.unix]
        if any(count >= 0 for count in waiting):
            log.measure("backlog", sum(count for count in waiting if count > 0), "histogram")
        return False
