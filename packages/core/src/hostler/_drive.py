"""The selector driver: all connections of a worker in one loop, requests to whatever runs them.

The loop accepts, reads, feeds protocol objects, writes what slow readers left, applies deadlines and beats.
A request whose body is complete goes to `dispatch`, which is all that the kinds of workers differ in: `sync` runs
it on the spot, threads and greenlets take it elsewhere. This module knows no protocol and no status.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from hostler._accept import FOR_GOOD, Door, Handshake, make_channel
from hostler._application import Application
from hostler._channel import Channel
from hostler._patience import Patience
from hostler._poll import READ, WRITE, Poller, make_poller, system_poll
from hostler._wsgi import HIGH_WATER, Exchange
from hostler.http import Request, Waiting

if TYPE_CHECKING:
    from hostler._contexts import Listener, WorkerContext

TICK = 0.5
"""Seconds between two sweeps over the deadlines, and the longest sleep."""
SWEPT_AT_ONCE = 500
"""Members looked at in one turn, which takes a quarter of a millisecond: thousands of idle ones hold up nobody."""
SLOW = 0.1
"""Seconds of a request that make its worker one that others would have to wait for."""
SLOW_FOR = 5.0
"""Seconds after such a request in which a worker among several keeps no connection for itself."""
LAST_WORD = 1.0
"""Seconds that a stopping worker leaves a connection that has said nothing yet, or whose next request is on its way."""


class Member(Protocol):
    """What the poller can wake."""

    gone: bool
    descriptor: int

    def ready(self, mask: int) -> None: ...

    def sweep(self, now: float) -> None: ...

    def drain(self, quiet: float = 0.0) -> None: ...

    def close(self) -> None: ...


class Driver:
    """One worker's loop; kinds of workers give it their own `dispatch`."""

    shared = False
    """Several threads or greenlets work with the channels, so descriptors are closed by the loop only."""

    def __init__(self, context: WorkerContext, application: Any, *, threaded: bool = False) -> None:
        self.context = context
        self.log = context.log
        self.patience = Patience(context.settings)
        self.poller: Poller = make_poller()
        self.now = time.monotonic()
        self.application = Application(context, application, threaded=threaded)
        self.make_lock: Callable[[], Any] = threading.Lock  # of a channel
        # Alone, nobody is kept waiting who could go elsewhere.
        self.dispatch: Callable[[Exchange], object] = self._run if context.multiprocess else Exchange.run
        self.members: dict[int, Member] = {}
        self._limit = context.settings.worker_connections or 1 << 30
        alone = not (self.shared or context.multiprocess)
        self.ample = self._limit * 9 // 10 if alone else 0  # with fewer connections nobody is asked for room
        self._doors: dict[int, Door] = {}
        self.pausing: set[Door] = set()
        """Doors that open again by themselves."""
        self._later: deque[Callable[[], None]] = deque()
        self._again: deque[Channel] = deque()
        self._swept = self.now
        self._unswept: list[Member] = []  # those of a sweep that are still to be looked at
        self._turn_began = self.now
        self.epoch = 0
        """Changes when another thread took the loop over: a turn that finds it changed ends there."""
        self._stop_began = 0.0
        self._said_short = 0.0
        self._slow_until = 0.0
        self._status = context.status

    # -- the loop --------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until the context says stop and what was begun is finished."""
        self.open()
        while not self.finished():
            self.turn()
        self.close()

    def open(self) -> None:
        """Begin to accept."""
        self.poller.add(self.context.wakeup, READ)
        for listener in self.context.listeners:
            door = Door(self, listener)
            self._doors[listener.socket.fileno()] = door
            door.open()

    def turn(self) -> None:
        """One round: wait for readiness, serve what is ready, and twice a second look at the deadlines."""
        busy = self._later or self._again or self.pausing or self._unswept
        seconds = self._until_next() if busy else TICK
        events = self.poller.select(seconds)
        self.now = now = time.monotonic()
        self._turn_began = now
        if events and not self._serve(events):
            return
        while self._later:
            self._later.popleft()()
        for _ in range(len(self._again)):
            channel = self._again.popleft()
            try:
                if not channel.gone:
                    channel.ready(READ)
            except Exception:  # noqa: BLE001 - the same wall as in `_serve`
                self._broken(channel)
        self.log.flush()
        if now - self._swept >= TICK or self.context.stopping:
            self._sweep(now)
        elif self._unswept:
            self._look_at(SWEPT_AT_ONCE)
        if self.pausing:
            for door in [door for door in self.pausing if door.resume_at <= now]:
                door.open()

    def _serve(self, events: list[tuple[int, int]]) -> bool:
        """Let each ready member act; False when another thread has taken the loop over meanwhile."""
        members, epoch, alone = self.members, self.epoch, not self.shared
        if alone:
            self._status.active = 1
        for descriptor, mask in events:
            member = members.get(descriptor)
            if member is None:
                self._other(descriptor, mask)
                continue
            try:
                member.ready(mask)
            except Exception:  # noqa: BLE001 - the wall around one connection: what it breaks on ends it alone
                self._broken(member)
            if self.epoch != epoch:
                return False
        if alone:
            self._status.active = 0
        return True

    def _until_next(self) -> float:
        if self._later or self._again or self._unswept:
            return 0.0
        return min(TICK, max(0.0, min(door.resume_at for door in self.pausing) - self.now))

    def _broken(self, member: Member) -> None:
        self.log.error.exception("a connection was ended by an error that is not its peer's")
        if isinstance(member, Channel):
            member.fail()
        else:
            member.close()

    def _other(self, descriptor: int, mask: int) -> None:
        door = self._doors.get(descriptor)
        if door is not None:
            door.ready(mask)
        elif descriptor == self.context.wakeup:
            self.context.turn()

    def _sweep(self, now: float) -> None:
        self._swept = now
        self.context.beat()
        self.context.turn()
        self.context.status.connections = len(self.members)
        if not self._unswept:
            self._unswept = list(self.members.values())
        if self.context.stopping:
            self._look_at(len(self._unswept))
            self._stop(now)
        else:
            self._look_at(SWEPT_AT_ONCE)
            self._open_again()
            if self.context.multiprocess:
                for door in self._doors.values():
                    door.look_again()

    def _look_at(self, count: int) -> None:
        """Apply the deadlines of so many members."""
        now, some = self.now, self._unswept[-count:]
        del self._unswept[-count:]
        for member in some:
            if member.gone:
                continue
            try:
                member.sweep(now)
            except Exception:  # noqa: BLE001 - the same wall as in `turn`
                self._broken(member)

    def _open_again(self) -> None:
        """After the limit of connections was met: open the doors as soon as there is room, or make some."""
        shut = [door for door in self._doors.values() if door.resume_at == FOR_GOOD]
        if shut and len(self.members) >= self._limit:
            self.close_idle(self._limit // 20 + 1)
        if len(self.members) < self._limit:
            for door in shut:
                door.open()

    # -- the end ---------------------------------------------------------------------------------------

    def finished(self) -> bool:
        """Whether there is nothing left to do for a worker that is to stop."""
        if not self._stop_began:
            return False
        if self.context.stopping == "quick" or not (self.members or self._doors):
            return True
        return time.monotonic() - self._stop_began > self.context.settings.graceful_timeout

    def _stop(self, now: float) -> None:
        quick = self.context.stopping == "quick"
        if not self._stop_began:
            self._stop_began = now
            for door in self._doors.values():
                door.shut()
        # With nobody free here, what waits in the backlog may still be another worker's.
        if self._doors and (quick or not self.full() or now - self._stop_began > LAST_WORD):
            self._close_doors(empty=not quick)
        for member in list(self.members.values()):
            member.drain(LAST_WORD)
            # Counted from its own beginning: one that the backlog held has had no time to say anything yet.
            if (
                isinstance(member, Channel)
                and member.connection.waiting is Waiting.FIRST
                and now - max(self._stop_began, member.born) > LAST_WORD
            ):
                member.close()

    def full(self) -> bool:
        """Nobody is free for a request, and nobody has become free for a while."""
        return False

    def _close_doors(self, *, empty: bool) -> None:
        doors, self._doors = self._doors, {}
        for door in doors.values():
            if empty:
                door.empty()
            door.close()

    def close(self) -> None:
        """Give back everything."""
        while self._later:
            self._later.popleft()()
        for member in list(self.members.values()):
            if isinstance(member, Channel):
                member.fail()
            else:
                member.close()
        self._close_doors(empty=False)
        self.context.status.connections = 0
        self.poller.close()
        self.log.flush()

    # -- new connections -------------------------------------------------------------------------------

    def stopping_accepts(self) -> bool:
        """At the limit of connections the rest waits in the backlog; near it idle ones make room."""
        if self._slow_until and time.monotonic() - self._turn_began > SLOW:
            return True  # those at hand first, and the rest to whoever is free
        if len(self.members) * 10 >= self._limit * 9:
            self.close_idle(self._limit // 20 + 1)
        count = len(self.members)
        if count < self._limit:
            return False
        for door in self._doors.values():
            door.shut()
        self.log.refused("conn_limit", None, f"{count} connections")
        return True

    def has_more_than_its_share(self) -> bool:
        """Whether another worker holds fewer connections, so that it should take the next one."""
        if not self.context.multiprocess:
            return False
        count = len(self.members)
        status = self.context.status
        status.connections = count
        fewest = status.fewest_elsewhere()
        return 0 <= fewest < count

    def shake(self, sock: socket.socket, address: Any, listener: Listener) -> None:
        """A socket was accepted that is to speak TLS."""
        reader = self.context.proxied(listener, address)
        handshake = Handshake(self, sock, address, listener, reader)
        self.members[handshake.descriptor] = handshake

    def admit(
        self, sock: Any, address: Any, listener: Listener, alpn: str | None, *, prompt: bool = True
    ) -> bool:
        """A socket is ready for its protocol (`alpn` None: without TLS). Whether its request was there, if `prompt`."""
        channel = make_channel(self, sock, address, listener, alpn)
        self.members[channel.descriptor] = channel
        try:
            channel.ready(READ) if prompt else channel.listen()
        except Exception:  # noqa: BLE001 - the same wall as in `turn`
            self._broken(channel)
        return channel.octets_in > 0

    def close_idle(self, count: int) -> None:
        """Close so many connections that nobody would miss: kept alive and idle longest, then silent since long."""
        channels = [
            member
            for member in self.members.values()
            if isinstance(member, Channel) and not member.outbox.size
        ]
        idle = [channel for channel in channels if channel.connection.waiting is Waiting.IDLE]
        idle.sort(key=lambda channel: channel.touched)
        for channel in idle[:count]:
            channel.drain()
        silent = [
            channel
            for channel in channels
            if channel.connection.waiting is Waiting.FIRST and self.now - channel.born > LAST_WORD
        ]
        silent.sort(key=lambda channel: channel.born)
        for channel in silent[: max(0, count - len(idle))]:
            channel.close()

    def say_short(self, error: OSError) -> None:
        """Once a second: no descriptor or memory is left for a connection."""
        if self.now - self._said_short >= 1.0:
            self._said_short = self.now
            self.log.error.warning("cannot accept a connection: %s; waiting for room", error.strerror)

    # -- what channels ask -----------------------------------------------------------------------------

    def exchange(self, channel: Channel, request: Request) -> Exchange:
        """The exchange of a request that has just come. Called under the channel's lock."""
        if self._stop_began:
            channel.connection.drain()
        return Exchange(self.application, channel, request.stream, request.head)

    def answered(self, exchange: Exchange) -> None:
        """The exchange is over. Here one is served within its turn, which `turn` tells the status."""

    def _run(self, exchange: Exchange) -> None:
        """`dispatch` of a worker that does one thing at a time: run it here and now.

        A connection kept here waits for a slow neighbour even while another worker is idle. So for a while after
        a slow request each answer is its connection's last: the next request goes to whichever worker is free.
        """
        began = time.monotonic()
        if began < self._slow_until:
            channel = exchange.channel
            with channel.lock:
                channel.connection.drain()
        exchange.run()
        ended = time.monotonic()
        if ended - began > SLOW:
            self._slow_until = ended + SLOW_FOR

    def forget(self, member: Member) -> bool:
        """Whether the member was known; it is not any more. Its descriptor may be another's by now."""
        if self.members.get(member.descriptor) is not member:
            return False
        del self.members[member.descriptor]
        return True

    def later(self, call: Callable[[], None]) -> None:
        """Do it at the end of this turn."""
        self._later.append(call)

    def again(self, channel: Channel) -> None:
        """TLS holds more decrypted octets than were read: read on after this round, without waiting."""
        self._again.append(channel)

    def wait_for_reader(self, exchange: Exchange) -> None:
        """Hold the application (`write()`) until its reader has taken most of what waits."""
        channel, stream = exchange.channel, exchange.stream
        self._pump(channel, lambda: channel.held_back(stream) <= HIGH_WATER // 4)

    def wait_for_body(self, exchange: Exchange) -> None:
        """Hold the application until its request's body is there, or will never be."""
        body = exchange.body
        assert body is not None
        self._pump(exchange.channel, lambda: body.complete or bool(body.gone))

    def _pump(self, channel: Channel, done: Callable[[], bool]) -> None:
        """Serve this one connection until `done`; its own deadlines bound the wait."""
        poll = system_poll()
        while not done() and not channel.gone:
            interest = (READ if channel.connection.reading else 0) | (WRITE if channel.outbox.size else 0)
            poll.register(channel.descriptor, interest)
            events = poll.poll(TICK * 1000)
            self.now = time.monotonic()
            for _, mask in events:
                channel.ready(mask)
            self.context.beat()
            if not channel.gone:
                channel.sweep(self.now)
