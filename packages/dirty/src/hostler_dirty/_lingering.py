"""Leases that are to go back, and whose callers may first call again for a moment; of one executing thread.

Nothing here knows what a call is. A lease that lingers is nobody's concern but the worker's: the arbiter
waits for it as for one that is in use, so each of them ends in the caller's next call, or goes back.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from hostler_dirty import _wire

if TYPE_CHECKING:
    from hostler_dirty._runtime import Runtime
    from hostler_dirty._served import Served

LINGER = 0.001
"""Seconds; the least that epoll can wait."""
LINGER_NS = 900_000


class Lingering(threading.local):
    """Each thread sees its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.channels: dict[int, tuple[Served, int, int]] = {}

    def add(self, channel: Served, lease: int) -> None:
        """From now on, for a moment."""
        self.channels[channel.fd] = channel, lease, time.monotonic_ns() + LINGER_NS

    def end(self, served: int) -> int:
        """Give back those whose moment is over; the lease that the channel `served` has, on which something came.

        A thread beside others is about to run that for who knows how long, and would keep the others from a slot.
        """
        lingering, now = self.channels, time.monotonic_ns()
        found = 0
        over = served >= 0 and self._runtime.threads > 1
        for fd, (channel, lease, until) in list(lingering.items()):
            if fd == served:
                found = lease
            elif until > now and not over:
                continue
            del lingering[fd]
            channel.turns.came(again=fd == served)
            if fd != served:
                self.take_back(channel, lease)
        return found

    def take_back(self, channel: Served, lease: int) -> None:
        """The lease goes to the arbiter, unless a call uses it."""
        runtime = self._runtime
        with runtime.lock:
            idle = channel.call is None and channel.lease == lease and channel.revoked < lease
            if idle:
                channel.revoked = lease
        if idle:
            runtime.control.send(_wire.pack(_wire.DONE, lease))
