"""The pings of one WebSocket: when one is due, and whether the peer has had its time to answer it."""

from __future__ import annotations

INFINITE = float("inf")


class Pings:
    """Pure arithmetic on the worker's clock; whoever has the frames asks twice a second."""

    __slots__ = ("_deadline", "_due", "_interval", "_timeout", "payload")

    def __init__(self, interval: float, timeout: float, now: float) -> None:
        self._interval = interval
        self._timeout = timeout or INFINITE
        self._due = now + interval if interval else INFINITE
        self._deadline = INFINITE
        self.payload = b""
        """What the ping under way carries; empty when none is."""

    def excuse(self, now: float) -> None:
        """The peer's pong may wait behind messages that we do not read: that is no fault of the peer's."""
        self._deadline = now + self._timeout

    def overdue(self, now: float, pong: bytes | None) -> bool:
        """Whether the ping under way should have been answered; `pong`: the payload of the last answer."""
        if not self.payload:
            return False
        if pong == self.payload:
            self.payload, self._deadline = b"", INFINITE
            return False
        return now > self._deadline

    def next(self, now: float) -> bytes:
        """The payload of the ping that is due now, or nothing."""
        if self.payload or now < self._due:
            return b""
        self.payload = b"%d" % int(now * 1000)
        self._due, self._deadline = now + self._interval, now + self._timeout
        return self.payload
