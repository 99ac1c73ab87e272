"""When the lead of the loop is given to a runner, to see whether it pays: a pure rule, no thread and no clock.

A lead that came back is tried again after a while, and after a longer one each time that it did not last.
"""

from __future__ import annotations

SOON, LATE = 0.05, 2.0
"""Seconds until the next try: doubled each time, from the first to the second."""
LASTED = 1.0
"""Seconds after which a lead was worth its try."""


class Trials:
    """The record of one worker's tries. Times are seconds of any steady clock."""

    __slots__ = ("_after", "_at", "_given_at")

    def __init__(self) -> None:
        self._at = self._given_at = 0.0
        self._after = SOON

    def due(self, now: float) -> bool:
        """Whether to try now."""
        return now >= self._at

    def given(self, now: float) -> None:
        """A try begins."""
        self._given_at = now

    def returned(self, now: float) -> None:
        """The lead is back, for whatever reason."""
        self._after = SOON if now - self._given_at > LASTED else min(LATE, self._after * 2)
        self._at = now + self._after
