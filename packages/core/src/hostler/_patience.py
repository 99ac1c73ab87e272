"""How long a driver waits for what: every wait has a deadline and, where octets drip, a least rate.

Pure arithmetic on times of the monotonic clock; whoever owns the clock asks.
"""

from __future__ import annotations

from hostler.http import Waiting
from hostler.settings import Settings

GRACE = 5.0
"""Seconds before a rate is looked at: a slow start is no attack (Kestrel's and Apache's number)."""


class Patience:
    """The deadlines of one worker, from its settings. 0 means: wait for ever."""

    __slots__ = (
        "_body",
        "_body_rate",
        "_first",
        "_header",
        "_keepalive",
        "_write",
        "_write_rate",
        "handshake",
        "lifetime",
        "linger",
    )

    def __init__(self, settings: Settings) -> None:
        self._first = settings.first_byte_timeout or float("inf")
        self._header = settings.header_timeout or float("inf")
        self._body = settings.body_timeout or float("inf")
        self._body_rate = settings.body_min_rate
        self._keepalive = settings.keepalive
        self._write = settings.write_timeout or float("inf")
        self._write_rate = settings.write_min_rate
        self.handshake = settings.tls_handshake_timeout or float("inf")
        self.lifetime = settings.connection_lifetime or float("inf")
        self.linger = settings.linger_timeout

    def over(self, waiting: Waiting, now: float, since: float, touched: float, octets: int) -> bool:
        """Whether the peer had its time: `since` the wait began, `touched` the last octet came, `octets` since."""
        if waiting is Waiting.NOTHING:
            return False
        if waiting is Waiting.IDLE:
            return now - touched > self._keepalive
        if waiting is Waiting.HEAD:
            return now - since > self._header
        if waiting is Waiting.FIRST:
            return now - since > self._first
        elapsed = now - since
        return now - touched > self._body or (elapsed > GRACE and octets < elapsed * self._body_rate)

    def drips(self, now: float, since: float, progressed: float, octets: int) -> bool:
        """Whether a reader is too slow for what waits for it."""
        elapsed = now - since
        return now - progressed > self._write or (elapsed > GRACE and octets < elapsed * self._write_rate)
