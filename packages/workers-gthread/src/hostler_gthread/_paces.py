"""Which requests are quick enough to run in the loop: what those of the same path took there, a pure rule.

A site has quick routes and slow ones. A path that was slow in the loop is handed over from then on; now and then one
of its requests is run in the loop all the same, to see whether it is quick meanwhile, and more seldom the more often it
was not. A path that was never seen is judged by those that were new before it.
"""

from __future__ import annotations

QUICK = 0.0005
"""Seconds of a request (a moving average) below which running it in the loop is cheaper than handing it over."""
WEIGHT = 0.125
"""Of the last request in the average."""
WORTH, WORTH_MOST = 64, 65536
"""Requests of a path that are handed over after it was slow: doubled each time, unless it was quick for many before."""
MANY = 1024
"""Quick ones, after which a slow one is a surprise again."""
PATHS = 1024
"""So many are known; then all are forgotten."""


class Pace:
    """Of one path."""

    __slots__ = ("_last", "_new", "_ran", "_seconds", "_worth", "rest")

    def __init__(self, new: Pace | None = None) -> None:
        """`new`: the pace of all that are new, which learns from the first one of this path."""
        self.rest = 0
        """Requests to be handed over until the next try."""
        self._new = new
        self._seconds = self._last = 0.0
        self._ran = 0
        self._worth = WORTH // 2

    def took(self, seconds: float) -> None:
        """One ran in the loop to its end."""
        if self._new is not None:
            self._introduce(seconds)
        self._ran += 1
        # The quicker of two in a row: now and then one has to wait for what other threads do.
        self._seconds += (min(seconds, self._last, 4 * QUICK) - self._seconds) * WEIGHT
        self._last = seconds
        if self._seconds >= QUICK:
            self._hand_over()

    def held(self) -> None:
        """One holds the loop and does not end."""
        if self._new is not None:
            self._introduce(4 * QUICK)
        self._hand_over()

    def _introduce(self, seconds: float) -> None:
        new, self._new = self._new, None
        assert new is not None
        new.took(seconds)

    def _hand_over(self) -> None:
        self._worth = WORTH if self._ran > MANY else min(WORTH_MOST, self._worth * 2)
        self.rest = self._worth
        self._seconds = 0.0
        self._ran = 0


class Paces:
    """What a worker knows of its application; used by one thread at a time."""

    __slots__ = ("_new", "known")

    def __init__(self) -> None:
        self.known: dict[bytes, Pace] = {}
        """By path; what has no query is found here at once."""
        self._new = Pace()

    def of(self, target: bytes) -> Pace:
        """What a request with this target is judged by."""
        path = target.partition(b"?")[0]
        pace = self.known.get(path)
        if pace is None:
            if self._new.rest:
                return self._new
            if len(self.known) >= PATHS:
                self.known.clear()
            pace = self.known[path] = Pace(self._new)
        return pace
