"""The pool's figures as a whole: what was counted here and in the workers, beside what can be read off at the moment.

It gives them to the server's logger now and then, and to whoever asks.
"""

from __future__ import annotations

import logging
import threading
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

    def __init__(self, pool: Pool, desk: Desk, measure: Measure, log: logging.Logger) -> None:
        self._pool, self._desk, self._measure, self._log = pool, desk, measure, log
        self._telling: threading.Thread | None = None
        self._told: Told = {}
        self._depths: set[tuple[str, int]] = set()
        """Queues that had calls once: they are told to be empty, too."""
        self._next = 0.0

    def turn(self, now: float, interval: float) -> None:
        """Tell the logger when it is time; an interval of 0 is never.

        In a thread: a logger that looks a name up, or whose reader is slow, must not hold up who waits for a grant.
        """
        if not interval or now < self._next or (self._telling is not None and self._telling.is_alive()):
            return
        first, self._next = not self._next, now + interval
        if first:
            return  # there is a whole interval to tell of only later
        figures = list(_exposition.measures([*self._desk.figures.since(self._told), *self.gauges()]))
        self._telling = threading.Thread(
            target=self._tell, args=(figures,), name="dirty-figures", daemon=True
        )
        self._telling.start()

    def _tell(self, figures: list[tuple[str, float, str]]) -> None:
        try:
            for figure in figures:
                self._measure(*figure)
        except Exception:  # noqa: BLE001  (the wall around a logger)
            self._log.exception("the logger does not take the pool's figures")

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
