"""Token buckets: what a peer may do in a burst, and how fast it earns more.

A bucket asks its clock only when it is nearly empty, so that an honest peer never costs a look at it.
"""

from __future__ import annotations

from collections.abc import Callable


class Bucket:
    """Holds `size` tokens and earns `rate` a second. `clock` returns monotonic seconds."""

    __slots__ = ("_clock", "_filled", "_rate", "_size", "_tokens")

    def __init__(self, size: int, rate: float, clock: Callable[[], float]) -> None:
        self._size = size
        self._rate = rate
        self._clock = clock
        self._tokens = float(size)
        self._filled = clock()

    def take(self) -> bool:
        """Take one token; False when there is none."""
        if self._tokens < self._size / 4:
            self._earn()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def low(self) -> bool:
        """Three quarters are spent."""
        return self._tokens < self._size / 4

    def _earn(self) -> None:
        now = self._clock()
        self._tokens = min(self._size, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
