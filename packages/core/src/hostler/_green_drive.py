"""The driver under a library of greenlets (gevent, eventlet): the loop is one greenlet, each request another.

All connections are behind one descriptor, the poller's own, so ten thousand idle ones cost the library
nothing. What is the library's comes in as `Greens`; this module imports none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hostler._contexts import WorkerContext
from hostler._poll import Poller
from hostler._shared_drive import SharedDriver
from hostler._wsgi import Exchange


@dataclass(frozen=True, slots=True)
class Greens:
    """What a library of greenlets gives."""

    spawn: Callable[..., Any]
    """spawn(function, argument): run it in a greenlet, soon."""
    wait_readable: Callable[[int, float], None]
    """Let others run until the descriptor is readable or so many seconds have passed; never raises for the latter."""
    rest: Callable[[], Any]
    """Let every other greenlet that can run do so once."""
    make_lock: Callable[[], Any]
    """A lock of the system, unpatched: it is never held while greenlets change."""


class GreenPoller:
    """A poller whose wait lets the other greenlets run."""

    __slots__ = ("_greens", "_poller", "add", "change", "close", "fileno", "remove")

    def __init__(self, poller: Poller, greens: Greens) -> None:
        self._poller = poller
        self._greens = greens
        self.add, self.change, self.remove = poller.add, poller.change, poller.remove
        self.fileno, self.close = poller.fileno, poller.close

    def select(self, seconds: float) -> list[tuple[int, int]]:
        """What is ready; waits in the library's hub."""
        self._greens.rest()
        events = self._poller.select(0)
        if not events and seconds > 0:
            self._greens.wait_readable(self._poller.fileno(), seconds)
            events = self._poller.select(0)
        return events


class GreenDriver(SharedDriver):
    """Each complete request gets a greenlet of its own."""

    def __init__(self, context: WorkerContext, application: Any, greens: Greens) -> None:
        super().__init__(context, application, self._start)
        self._spawn = greens.spawn
        self.make_lock = greens.make_lock
        self.poller = GreenPoller(self.poller, greens)
        self.loop_thread = threading.get_ident()

    def _start(self, exchange: Exchange) -> None:
        self._spawn(self._answer, exchange)

    def _answer(self, exchange: Exchange) -> None:
        try:
            exchange.run()
        finally:
            self.complete(exchange)
            if self._later:
                self.wake()  # the loop may be waiting: all greenlets are one thread
