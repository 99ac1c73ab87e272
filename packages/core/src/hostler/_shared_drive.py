"""The driver for workers that run several requests at once: in threads, greenlets, or a stranger's executor.

The loop keeps every descriptor; whoever runs an exchange calls `complete` when it is done, and may hold the
application through `Arrival` while the loop moves its channel on. `read` and `write` are bound at import, before
a library of greenlets puts its own in their place.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from os import read, write
from typing import Any

from hostler._channel import Channel
from hostler._contexts import WorkerContext
from hostler._drive import Driver
from hostler._poll import EDGE, READ
from hostler._wsgi import HIGH_WATER, Exchange
from hostler.http import Request

SATURATED = 0.02
"""Seconds until a worker without a free thread looks at its backlog again."""


class Arrival:
    """How a thread or greenlet waits for the loop to move a channel on."""

    __slots__ = ("_channel", "_event")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._event = threading.Event()

    def wait(self, done: Callable[[], bool]) -> None:
        """Return when `done`, or when the channel is gone; deadlines are the loop's."""
        channel, event = self._channel, self._event
        channel.waiters.append(event)
        try:
            while not done() and not channel.gone:
                event.wait(1.0)
                event.clear()
        finally:
            channel.waiters.remove(event)


class SharedDriver(Driver):
    """A loop whose requests run elsewhere. `start(exchange)` is to get `run` called soon, in any thread.

    `start` must not run the application itself unless the loop may be held by it.
    """

    shared = True

    def __init__(self, context: WorkerContext, application: Any, start: Callable[[Exchange], None]) -> None:
        super().__init__(context, application, threaded=True)
        self.dispatch = start
        self.loop_thread = threading.get_ident()
        self._running: set[Exchange] = set()
        """Requests begun and not answered."""
        self.saturated: Callable[[], bool] | None = None
        """Says that nobody is free for a request and that nobody has become free for a while."""
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)
        self.poller.add(self._wake_read, READ)
        self._bell = context.bell  # also of a worker that is alone: while it is replaced there are two
        if self._bell.descriptor >= 0:
            self.poller.add(self._bell.descriptor, READ | EDGE)

    def exchange(self, channel: Channel, request: Request) -> Exchange:
        """The exchange of a request that has just come. Called under the channel's lock."""
        exchange = super().exchange(channel, request)
        self._running.add(exchange)
        self._status.active = len(self._running)
        return exchange

    def answered(self, exchange: Exchange) -> None:
        """The exchange is over, in whichever thread; a set's methods are atomic where `+= 1` is not."""
        self._running.discard(exchange)
        self._status.active = len(self._running)

    def complete(self, exchange: Exchange) -> None:
        """`exchange.run()` has returned, whatever it said: write, go on with what the connection kept back."""
        exchange.channel.settle([])

    def later(self, call: Callable[[], None]) -> None:
        """Do it in the loop, which is woken when another thread asks."""
        super().later(call)
        if threading.get_ident() != self.loop_thread:
            self.wake()

    def wake(self) -> None:
        """Let the loop come round at once."""
        try:
            write(self._wake_write, b"!")
        except BlockingIOError:
            return  # it has been woken often enough

    def _other(self, descriptor: int, mask: int) -> None:
        if descriptor == self._wake_read:
            try:
                read(descriptor, 4096)
            except BlockingIOError:
                return  # who led the loop before has read it
        elif descriptor == self._bell.descriptor:
            for door in list(self._doors.values()):
                door.look()
        else:
            super()._other(descriptor, mask)

    def full(self) -> bool:
        """As whoever runs the requests says."""
        return self.saturated is not None and self.saturated()

    def stopping_accepts(self) -> bool:
        """While nobody could serve them, new connections wait where another worker can take them, and is told so."""
        full = self.full()
        if full:
            for door in self._doors.values():
                door.shut(self.now + SATURATED)
        elif not super().stopping_accepts():
            return False
        self._bell.ring()
        return True

    def wait_for_reader(self, exchange: Exchange) -> None:
        """Hold this thread or greenlet, and nobody else."""
        channel, stream = exchange.channel, exchange.stream
        Arrival(channel).wait(lambda: channel.held_back(stream) <= HIGH_WATER // 4)

    def wait_for_body(self, exchange: Exchange) -> None:
        """Hold this thread or greenlet, and nobody else."""
        body = exchange.body
        assert body is not None
        Arrival(exchange.channel).wait(lambda: body.complete or bool(body.gone))

    def close(self) -> None:
        """Give back everything."""
        super().close()
        os.close(self._wake_read)
        os.close(self._wake_write)
