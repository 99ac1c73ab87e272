"""A worker's figures: a table for each thread that executes calls, and what has changed told to the arbiter.

The watcher tells it about once a second, and only when there is something new; what a killed worker had not told
is lost with it.
"""

from __future__ import annotations

import threading

from hostler_dirty._line import Control
from hostler_dirty._metrics import Figures, Told

INTERVAL = 900_000_000
"""Nanoseconds between two reports at least; the watcher looks once a second."""


class Tally:
    """All tables of one worker."""

    def __init__(self, control: Control, threads: int) -> None:
        self._control = control
        self.tables = [Figures() for _ in range(threads)]
        """By the number of the executing thread, which alone writes there."""
        self._told: list[Told] = [{} for _ in range(threads)]
        self._next = 0
        self._lock = threading.Lock()

    def turn(self, now: int) -> None:
        """In the watcher: report when it is time."""
        if now >= self._next:
            self._next = now + INTERVAL
            self.tell()

    def tell(self) -> None:
        """Report what is new."""
        with self._lock:
            for table, told in zip(self.tables, self._told, strict=True):
                rows = table.since(told)
                if rows:
                    self._control.report("figures", rows=rows)
