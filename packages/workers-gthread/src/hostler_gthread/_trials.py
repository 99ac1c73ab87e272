"""When the lead of the loop is given to a runner, to see whether it pays: a pure rule, no thread and no clock.

A lead that came back is tried again after a while, and after a longer one each time that it did not last. A leader that
was held by its request, or a word that no runner was free to hear, did harm besides: everybody waited until the main
thread noticed, as long as many hand-overs take. After that so many requests are handed over before the next try as
are worth it, and twice as many each time.
"""

from __future__ import annotations

SOON, LATE = 0.05, 2.0
"""Seconds until the next try: doubled each time, from the first to the second."""
LASTED = 1.0
"""Seconds after which a lead was worth its try."""
WORTH, WORTH_MOST = 2048, 65536
"""Requests that are handed over after a leader was held: doubled each time, unless it had run so many."""


class Trials:
    """The record of one worker's tries. Times are seconds of any steady clock."""

    __slots__ = ("_after", "_at", "_from", "_given_at", "_worth")

    def __init__(self) -> None:
        self._at = self._given_at = 0.0
        self._after = SOON
        self._from = 0
        self._worth = WORTH

    def due(self, now: float, handed: int) -> bool:
        """Whether to try now; `handed`: requests handed over since the worker's start."""
        return now >= self._at and handed >= self._from

    def given(self, now: float) -> None:
        """A try begins."""
        self._given_at = now

    def returned(self, now: float) -> None:
        """The lead is back, because requests are not quick or the worker is to stop."""
        self._after = SOON if now - self._given_at > LASTED else min(LATE, self._after * 2)
        self._at = now + self._after

    def held(self, now: float, handed: int, ran: int) -> None:
        """The lead was taken back from a leader whose request does not end, having run so many; or from nobody."""
        self._worth = WORTH if ran > WORTH else min(WORTH_MOST, self._worth * 2)
        self._from = handed + self._worth
        self.returned(now)
