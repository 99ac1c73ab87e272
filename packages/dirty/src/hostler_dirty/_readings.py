"""The pool's figures as a whole: what was counted here and in the workers, beside what can be read off at the moment.

It gives them to the server's logger now and then, and to whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hostler_dirty import _exposition
from hostler_dirty._metrics import Row, Told

if TYPE_CHECKING:
    from hostler_dirty._desk import Desk
    from hostler_dirty._pool import Pool

Measure = Callable[[str, float, str], None]


class Readings:
    """Of one arbiter."""

    def __init__(self, pool: Pool, desk: Desk, measure: Measure) -> None:
        self._pool, self._desk, self._measure = pool, desk, measure
        self._told: Told = {}
        self._depths: set[tuple[str, int]] = set()
        """Queues that had calls once: they are told to be empty, too."""
        self._next = 0.0

    def turn(self, now: float, interval: float) -> None:
        """Tell the logger when it is time; an interval of 0 is never."""
        if not interval or now < self._next:
            return
        first, self._next = not self._next, now + interval
        if first:
            return  # there is a whole interval to tell of only later
        for figure in _exposition.measures([*self._desk.figures.since(self._told), *self.gauges()]):
            self._measure(*figure)

    def rows(self) -> list[Row]:
        """Everything since the arbiter began, and the present values."""
        return sorted([*self._desk.figures.total(), *self.gauges()], key=lambda row: row[:2])

    def gauges(self) -> list[Row]:
        """The present values."""
        pool, scheduler = self._pool, self._desk.scheduler
        depths = scheduler.depths()
        self._depths.update(depths)
        rows: list[Row] = [
            ("queue_depth", (app, str(priority)), [depths.get((app, priority), 0)])
            for app, priority in {*self._depths, *((app, 4) for app in scheduler.rules)}
        ]
        rows += [("app_ready", (app,), [scheduler.ready(app)]) for app in scheduler.rules]
        for slot in list(pool.slots.values()):
            member = slot.member
            rows.append(("inflight", (str(slot.index),), [len(member.running()) if member else 0]))
            rows.append(("worker_rss_bytes", (str(slot.index),), [member.rss() if member else 0]))
        rows.append(("stash_bytes", (), [self._desk.store.octets]))
        return rows
