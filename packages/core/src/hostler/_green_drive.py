"""The driver under a library of greenlets (gevent, eventlet): the loop is one greenlet, each request another.

All connections are behind one descriptor, the poller's own, which the library's hub watches from the first turn to
the last, so ten thousand idle connections cost the library nothing. What is the library's comes in as `Greens`;
this module imports none.

Where the library can tell that its hub has come round, a request runs at once, as if the loop called it:

    loop ──▶ request ──(ends)──▶ loop            the way of most: two changes of greenlets, and nothing scheduled
    loop ──▶ request ──(waits)──▶ hub ──▶ loop   from here on the request is any other greenlet, and a child of the hub
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hostler._contexts import WorkerContext
from hostler._poll import Poller
from hostler._shared_drive import SharedDriver
from hostler._wsgi import Exchange

ENOUGH = 0.005
"""Seconds of a turn after which requests are scheduled: the library's other greenlets are not to wait for them all."""


@dataclass(frozen=True, slots=True)
class Greens:
    """What a library of greenlets gives."""

    hub: Any
    """Where greenlets wait: `hub.switch()` lets all others that can run do so."""
    current: Callable[[], Any]
    """The greenlet that runs."""
    spawn: Callable[..., Any]
    """spawn(function, argument): run it in a greenlet, soon."""
    watch: Callable[[int, Callable[..., None]], Callable[[], Any]]
    """watch(descriptor, call): call it in the hub whenever the descriptor is readable; returns what ends that."""
    after: Callable[[float, Callable[..., None]], Callable[[], Any]]
    """after(seconds, call): call it in the hub once; returns what prevents that."""
    make_lock: Callable[[], Any]
    """A lock of the system, unpatched: it is never held while greenlets change."""
    make: Callable[[Callable[..., Any]], Any] | None = None
    """A greenlet for a function, not scheduled, a child of the hub."""
    every_round: Callable[[Callable[..., None]], Callable[[], Any]] | None = None
    """every_round(call): call it in the hub before each of its waits; returns what ends that."""


class GreenPoller:
    """A poller whose wait lets the other greenlets run."""

    __slots__ = (
        "_after",
        "_hub",
        "_look",
        "_loop",
        "_poller",
        "_unwatch",
        "_waiting",
        "add",
        "change",
        "remove",
    )

    def __init__(self, poller: Poller, greens: Greens) -> None:
        self._poller = poller
        self._look = poller.select
        self._hub = greens.hub
        self._after = greens.after
        self._loop = greens.current()
        self._waiting = False
        self.add, self.change, self.remove = poller.add, poller.change, poller.remove
        self._unwatch = greens.watch(poller.fileno(), self._wake)

    def _wake(self, *_: Any) -> None:
        if self._waiting:
            self._loop.switch()

    def select(self, seconds: float) -> list[tuple[int, int]]:
        """What is ready; waits in the library's hub."""
        cancel = self._after(max(0.0, seconds), self._wake)
        self._waiting = True
        try:
            self._hub.switch()
        finally:
            self._waiting = False
            cancel()
        return self._look(0)

    def fileno(self) -> int:
        """The poller's own descriptor."""
        return self._poller.fileno()

    def close(self) -> None:
        """End the hub's watch before its descriptor."""
        self._unwatch()
        self._poller.close()


class GreenDriver(SharedDriver):
    """Each complete request gets a greenlet, which it shares with none that waits."""

    def __init__(self, context: WorkerContext, application: Any, greens: Greens) -> None:
        super().__init__(context, application, self._start)
        self._greens = greens
        self.make_lock = greens.make_lock
        self.poller = GreenPoller(self.poller, greens)
        self.loop_thread = threading.get_ident()
        self._loop = greens.current()
        self._runner: Any = None
        """A greenlet that waits for the loop to give it a request; a new one costs more than most requests."""
        self._at_once: Exchange | None = None
        """The request that runs there while the loop is held."""
        self._end_rounds = greens.every_round(self._come_back) if greens.every_round else None

    def _start(self, exchange: Exchange) -> None:
        greens = self._greens
        held = time.monotonic() - self._turn_began > ENOUGH
        if greens.make is None or held or greens.current() is not self._loop:
            greens.spawn(self._answer, exchange)
            return
        runner, self._runner = self._runner, None
        if runner is None or runner.dead:
            runner = greens.make(self._run_each)
        self._at_once = exchange
        if runner.switch(exchange) is exchange:
            runner.gr_context = None
            self._runner = runner
        self._at_once = None

    def _run_each(self, exchange: Exchange) -> None:
        """Run what the loop gives, until a request waits for something: with that one this greenlet ends."""
        while True:
            self._answer(exchange)
            if exchange is not self._at_once:
                return
            try:
                exchange = self._loop.switch(exchange)
            except BaseException:  # noqa: BLE001 - a timer that a request left behind: this greenlet's end, not the loop's
                return

    def _come_back(self, *_: Any) -> None:
        """The hub runs, so the request that holds the loop waits for something."""
        if self._at_once is not None:
            self._loop.switch()

    def _answer(self, exchange: Exchange) -> None:
        try:
            exchange.run()
        finally:
            if exchange is not self._at_once:  # else the loop goes on with its connection
                self.complete(exchange)
                if self._later:
                    self.wake()  # the loop may be waiting: all greenlets are one thread

    def close(self) -> None:
        """Give back everything."""
        if self._end_rounds is not None:
            self._end_rounds()
        super().close()
