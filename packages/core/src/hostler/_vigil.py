"""Watching one channel for its deadlines, twice a second: what it waits for, since when, and how it got on.

A wait that a peer leaves and enters again between two looks begins anew only with its next request, so a head
that drips in cannot renew its own deadline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hostler._patience import Patience
from hostler.http import Waiting

if TYPE_CHECKING:
    from hostler._channel import Channel

WRITING = "writing"


class Vigil:
    """The wait that one channel is in."""

    __slots__ = ("_octets", "_phase", "_progressed", "_seen", "_since")

    def __init__(self, now: float) -> None:
        self._phase: tuple[Any, int] = (None, -1)
        self._since = self._progressed = now
        self._octets = self._seen = 0

    def look(self, channel: Channel, now: float) -> None:
        """Apply the deadlines of what the channel does now."""
        driver = channel.driver
        patience = driver.patience
        if channel.lingering:
            if now - channel.born > patience.linger:
                channel.close()
            return
        outbox, requests = channel.outbox, channel.requests
        if outbox.size:
            if self.writing_over(patience, requests, now, outbox.octets):
                driver.log.refused("write_slow", channel.transport.peer)
                channel.fail()
            return
        waiting = channel.connection.waiting
        if self.reading_over(patience, waiting, requests, now, channel.touched, channel.octets_in):
            channel.expire(waiting)
        elif now - channel.born > patience.lifetime:
            channel.grow_old()

    def reading_over(
        self, patience: Patience, waiting: Waiting, requests: int, now: float, touched: float, octets: int
    ) -> bool:
        """Whether the peer had its time to send what the connection waits for; `octets` it sent so far."""
        phase = (waiting, requests)
        if phase != self._phase:
            self._phase, self._since, self._octets = phase, now, octets
            if waiting is Waiting.IDLE or waiting is Waiting.FIRST:
                self._since = touched
        return patience.over(waiting, now, self._since, touched, octets - self._octets)

    def writing_over(self, patience: Patience, requests: int, now: float, octets: int) -> bool:
        """Whether the peer had its time to take what waits for it; `octets` it took so far."""
        phase = (WRITING, requests)
        if phase != self._phase:
            self._phase, self._since, self._octets = phase, now, octets
            self._progressed, self._seen = now, octets
        if octets != self._seen:
            self._progressed, self._seen = now, octets
        return patience.drips(now, self._since, self._progressed, octets - self._octets)
