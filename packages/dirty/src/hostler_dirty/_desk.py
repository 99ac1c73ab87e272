"""Where callers and workers meet in the arbiter: sessions, channels, and the scheduler's verdicts carried out.

A session is a caller's connection; a channel is a socket pair whose ends went to a caller and to a worker.
A channel has at most one lease at a time. What a caller may ask depends on how it came: by the doorbell it is
a caller, by the control socket of the same user it may also manage.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hostler_dirty import _line, _wire
from hostler_dirty._doors import Doors
from hostler_dirty._fates import Fates
from hostler_dirty._member import Member
from hostler_dirty._metrics import Figures
from hostler_dirty._peer import Peer
from hostler_dirty._pool import Pool
from hostler_dirty._reports import Reports
from hostler_dirty._scheduler import Scheduler
from hostler_dirty._sessions import Channel, Session
from hostler_dirty._settings import DirtySettings
from hostler_dirty._stash_store import Store
from hostler_dirty._tickets import Grant, Recall, Reject, Ticket, Verdict
from hostler_dirty._wire import Frame
from hostler_dirty.errors import (
    DirtyAppNotFoundError,
    DirtyError,
    DirtyNoWorkersAvailableError,
    DirtyProtocolError,
    DirtyQueueFullError,
    DirtyTimeoutError,
    describe,
)

Answer = Callable[[dict[str, Any]], None]
RETRY = 0.2
"""Seconds until a patient call asks again that got no channel because no descriptor was left."""
_LEASE = msgspec.msgpack.Decoder(tuple[str, str, str, float, float, list[int]])
"""App, action, affinity, no_worker_wait, max_queue_wait, channels that the caller has closed."""


class Desk:
    """The sessions of one arbiter."""

    def __init__(
        self, settings: DirtySettings, log: logging.Logger, manage: Callable[[list[str], Answer], None]
    ) -> None:
        self._settings, self._log, self._manage = settings, log, manage
        self._loop = asyncio.get_running_loop()
        self.scheduler = Scheduler()
        self.scheduler.room = self._room
        self.store = Store(settings.stash_limit)
        self.infos: dict[str, dict[str, Any]] = {}
        self.pool: Pool | None = None
        self.sessions: dict[int, Session] = {}
        self._ids = itertools.count(1)
        self._channels: dict[int, Channel] = {}
        self._by_lease: dict[int, Channel] = {}
        self._calls: dict[int, int] = {}
        """Lease -> the call that it was granted for."""
        self._fates = Fates(self._loop)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.doors = Doors(
            self._loop, log, lambda sock, manages, guest: self._admit(sock, manages=manages, guest=guest)
        )
        self.booting = settings.boot == "wait"
        """Until the first workers are ready callers wait: they are those of a former arbiter."""
        self.counts = {"granted": 0, "rejected": 0}
        self.figures = Figures()
        """Of this process and, with some delay, of all its workers."""
        self.reports = Reports(self.figures, log)

    # -- doors ------------------------------------------------------------------------------------------

    def open(self, descriptors: Mapping[str, int]) -> None:
        """Answer the doorbell and the control socket."""
        self.doors.open(descriptors)

    def close(self) -> None:
        """Close every session; the doors themselves are the main arbiter's."""
        self.doors.close()
        for session in list(self.sessions.values()):
            if session.peer is not None:
                session.peer.close()

    def _admit(self, sock: socket.socket, *, manages: bool, guest: bool) -> None:
        session = Session(next(self._ids), manages, guest)
        self.sessions[session.id] = session
        session.peer = Peer(
            self._loop, sock, "a caller of the dirty pool",
            lambda frame: self._session_frame(session, frame), lambda: self._left(session),
        )  # fmt: skip
        greeting = session.greeting(self._settings, self.infos)
        session.send(_wire.pack(_wire.WELCOME, session.id, _line.encode(greeting)))

    def _left(self, session: Session) -> None:
        """The caller closed its session: it waits no more, and its leases come back."""
        self.sessions.pop(session.id, None)
        for call in session.waiting:
            if self.scheduler.cancel((session.id, call)):
                self.figures.add("cancelled_total", ("queue",))
        for channel in session.channels.values():
            if channel.lease:
                self._carry_out(self.scheduler.recall(channel.lease))
        session.channels.clear()

    # -- callers ----------------------------------------------------------------------------------------

    def _session_frame(self, session: Session, frame: Frame) -> None:
        if frame.kind == _wire.LEASE:
            self._lease(session, frame)
        elif frame.kind == _wire.UNLEASE:
            self._unlease(session, frame)
        elif frame.kind == _wire.BLOCKED:
            if not session.guest:  # whose leases nobody shares
                self._blocked(session, frame.call, frame.deadline)
        elif frame.kind == _wire.STASH:
            self._stash(session, frame)
        elif frame.kind == _wire.FATE:
            lives = self.pool is not None and frame.deadline in self.pool.members
            self._fates.ask(session, frame.call, frame.deadline, lives=lives)
        elif frame.kind == _wire.MANAGE:
            words = session.orders(frame.body)
            self._manage(
                words, lambda said: session.send(_wire.pack(_wire.REPLY, frame.call, _line.encode(said)))
            )
        else:
            raise DirtyProtocolError(f"A caller sent a frame of kind {frame.kind}")

    def _lease(self, session: Session, frame: Frame) -> None:
        try:
            app, action, affinity, patience, longest, forgotten = _LEASE.decode(frame.body)
        except msgspec.MsgspecError as error:
            raise DirtyProtocolError(f"A LEASE of another shape: {error}") from None
        for number in forgotten:
            closed = session.channels.pop(number, None)
            if closed is not None and closed.lease:  # the worker may never have heard of the channel
                self._carry_out(self.scheduler.recall(closed.lease))
        if app not in self.scheduler.rules:
            self.figures.add("rejected_total", (app, "not_found"))
            self._reject_with(session, frame.call, DirtyAppNotFoundError(app))
            return
        if session.guest:
            refused = session.refusal(app, self.infos.get(app, {}), self._settings.bind_calls)
            if refused is not None:
                self._reject_with(session, frame.call, refused)
                return
        session.waiting.add(frame.call)
        ticket = Ticket(
            (session.id, frame.call), app, action, session.id, min(frame.priority, 7),
            frame.deadline / 1e9, affinity, self.booting or bool(frame.flags & _wire.REPEATED), patience, longest,
            session.guest or bool(frame.flags & _wire.FED),
        )  # fmt: skip
        now = time.monotonic()
        verdicts = self.scheduler.ask(ticket, now)
        self._carry_out(verdicts)
        if verdicts and not ticket.waiting and isinstance(verdicts[0], Grant):
            self.figures.observe("grant_seconds", (), int((time.monotonic() - now) * 1e9))

    def _unlease(self, session: Session, frame: Frame) -> None:
        """The caller gave up: the call waits no more, or its lease comes back."""
        session.waiting.discard(frame.call)
        if self.scheduler.cancel((session.id, frame.call)):
            self.figures.add("cancelled_total", ("queue",))
            return
        for channel in list(session.channels.values()):  # a call that asked twice may have two leases
            if channel.lease and self._calls.get(channel.lease) == frame.call:
                self._carry_out(self.scheduler.recall(channel.lease))

    def _blocked(self, session: Session, number: int, lease: int) -> None:
        """A call waits in a worker behind another one: it is to wait here."""
        channel = session.channels.get(number)
        if lease in self.scheduler.leases or channel is None:
            self._carry_out(self.scheduler.blocked(lease, session.id))
        elif channel.lease != lease:  # it has come back already, and its caller has not been told
            self._send_recall(channel.worker, lease, number)

    def _stash(self, session: Session, frame: Frame) -> None:
        asked = _line.decode(frame.body)
        if not isinstance(asked, list) or not asked or not isinstance(asked[0], str):
            raise DirtyProtocolError("A STASH of another shape")
        operation, *args = asked
        try:
            said: dict[str, Any] = {"value": self.store.run(operation, time.monotonic(), *args)}
        except DirtyError as error:
            said = {"error": describe(error)}
        session.send(_wire.pack(_wire.REPLY, frame.call, _line.encode(said)))

    # -- workers ----------------------------------------------------------------------------------------

    def join(self, member: Member) -> None:
        """A worker is ready."""
        now = time.monotonic()
        self._carry_out(self.scheduler.add(member.id, member.apps, member.threads, now, member.slot))

    def retire(self, member: Member) -> None:
        """A worker is to end when its last lease has come back."""
        self._carry_out(self.scheduler.drain(member.id))
        self._check_drained(member.id)

    def dead(self, member: Member) -> None:
        """A worker has ended; its leases with it."""
        leases = self.scheduler.remove(member.id)
        for lease in leases:
            self._by_lease.pop(lease.id, None)
            self._calls.pop(lease.id, None)
        self.reports.ended(member, {lease.app for lease in leases} or set(member.apps))
        for channel in [c for c in self._channels.values() if c.worker == member.id]:
            self._forget(channel.id)
        self._fates.ended(member.id, member.fate())

    def _room(self, worker: int) -> int:
        member = self.pool.members.get(worker) if self.pool is not None else None
        return member.room() if member is not None else 0

    def _idle(self, worker: int) -> bool:
        member = self.pool.members.get(worker) if self.pool is not None else None
        return member is not None and not member.running()

    def give_up(self, pool: Pool) -> None:
        """Now and then: find leases that nobody uses, and tell those who wait for an app that nobody will host."""
        self._carry_out(self.scheduler.overdue(time.monotonic(), self._idle))
        for app in self.scheduler.rules:
            if self.scheduler.length(app) and pool.state_of(app)[0] == "failed":
                self._carry_out(self.scheduler.fail(app))

    def worker_frame(self, member: Member, frame: Frame) -> None:
        """What a worker tells of leases, channels and itself."""
        if frame.kind == _wire.DONE:
            self._yielded(frame.call, frame.deadline / 1e9)
        elif frame.kind == _wire.GONE:
            channel = self._channels.get(frame.call)
            self._forget(frame.call)
            lease = frame.deadline or (channel.lease if channel is not None else 0)
            if lease:  # perhaps one that the worker never heard of
                self._yielded(lease, 0.0)
        elif frame.kind == _wire.STACKS:
            self.reports.stacks(frame.call, bytes(frame.body).decode("utf-8", "replace"))
        elif frame.kind == _wire.EVENT:
            assert self.pool is not None
            self.reports.event(self.pool, member, _line.decode(frame.body))
        else:
            self._log.warning("dirty worker %d sent a frame of kind %d", member.slot, frame.kind)

    def _yielded(self, lease: int, seconds: float) -> None:
        channel = self._by_lease.pop(lease, None)
        self._calls.pop(lease, None)
        if channel is not None and channel.lease == lease:
            channel.lease = 0
        known = self.scheduler.leases.get(lease)
        self._carry_out(self.scheduler.yielded(lease, time.monotonic(), seconds))
        if known is not None:
            self._check_drained(known.worker)

    def _check_drained(self, worker: int) -> None:
        host = self.scheduler.hosts.get(worker)
        assert self.pool is not None
        member = self.pool.members.get(worker)
        if member is not None and (host is None or (host.draining and not host.leases)):
            self.pool.drained(member)

    # -- verdicts ---------------------------------------------------------------------------------------

    def _carry_out(self, verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            if isinstance(verdict, Grant):
                self._grant(verdict)
            elif isinstance(verdict, Recall):
                self._recall(verdict)
            else:
                self._reject(verdict)
        self._set_timer()

    def _grant(self, grant: Grant) -> None:
        ticket, lease = grant.ticket, grant.lease
        number, call = key_of(ticket)
        session = self.sessions.get(number)
        assert self.pool is not None
        member = self.pool.members.get(lease.worker)
        if session is None or member is None or member.peer is None:
            self._loop.call_soon(self._yielded, lease.id, 0.0)
            return
        session.waiting.discard(call)
        self.counts["granted"] += 1
        waited = int((lease.granted - ticket.arrived) * 1e9)
        self.figures.observe("queue_wait_seconds", (ticket.app,), waited)
        fds: tuple[int, ...] = ()
        channel = next((c for c in session.channels.values() if c.worker == member.id and not c.lease), None)
        if channel is None:
            try:
                ours, theirs = _line.pair()
            except OSError as error:
                self._log.error("no channel can be made: %s", error)
                self._loop.call_soon(self._yielded, lease.id, 0.0)
                if ticket.patience > 0:
                    ticket.patience -= RETRY
                    session.waiting.add(call)
                    self._loop.call_later(RETRY, self._ask_again, session, ticket)
                    return
                self._reject_with(
                    session, call, DirtyNoWorkersAvailableError(ticket.app, f"no channel: {error}")
                )
                return
            channel = Channel(next(self._ids), member.id, session)
            self._channels[channel.id] = session.channels[channel.id] = channel
            trust = _wire.OUTSIDE if session.guest else 0
            member.peer.send(_wire.pack(_wire.INTRO, channel.id, flags=trust), (theirs.detach(),))
            fds = (ours.detach(),)
        channel.lease = lease.id
        self._by_lease[lease.id] = channel
        self._calls[lease.id] = call
        group = lease.group
        batch = (group.id, group.size) if group else (0, 0)
        body = _line.encode((lease.id, channel.id, member.id, *batch))
        if session.guest:
            member.peer.send(_wire.pack(_wire.ALLOW, channel.id, _line.encode(batch), deadline=lease.id))
        flags = (_wire.KEPT if lease.keep else 0) | (_wire.FRESH if fds else 0)
        session.send(_wire.pack(_wire.GRANT, call, body, flags), fds)

    def _ask_again(self, session: Session, ticket: Ticket) -> None:
        if session.id in self.sessions and key_of(ticket)[1] in session.waiting:
            self._carry_out(self.scheduler.ask(ticket, time.monotonic()))

    def _recall(self, recall: Recall) -> None:
        channel = self._by_lease.get(recall.lease)
        self._send_recall(recall.worker, recall.lease, channel.id if channel else 0)

    def _send_recall(self, worker: int, lease: int, channel: int) -> None:
        assert self.pool is not None
        member = self.pool.members.get(worker)
        if member is not None and member.peer is not None:
            member.peer.send(_wire.pack(_wire.RECALL, lease, deadline=channel))

    def _reject(self, reject: Reject) -> None:
        number, call = key_of(reject.ticket)
        session = self.sessions.get(number)
        self.counts["rejected"] += 1
        self.figures.add("rejected_total", (reject.ticket.app, reject.reason))
        if session is not None:
            session.waiting.discard(call)
            self._reject_with(session, call, self._error(reject))

    def _error(self, reject: Reject) -> DirtyError:
        app = reject.ticket.app
        if reject.reason == "full":
            return DirtyQueueFullError(f"The queue of {app} is full", reject.retry_after)
        if reject.reason in ("deadline", "wait"):
            return DirtyTimeoutError(f"No worker of {app} was free in time", stage="queue")
        assert self.pool is not None
        state, retry, cause = self.pool.state_of(app)
        if reject.reason == "stopping":
            state, retry = "stopping", None
        return DirtyNoWorkersAvailableError(app, state=state, retry_after=retry, cause=cause)

    def _reject_with(self, session: Session, call: int, error: DirtyError) -> None:
        session.send(_wire.pack(_wire.REJECT, call, _line.encode(describe(error))))

    def _forget(self, number: int) -> None:
        """The channel is closed at one end."""
        channel = self._channels.pop(number, None)
        if channel is not None:
            channel.session.channels.pop(number, None)

    def _set_timer(self) -> None:
        when = self.scheduler.next_time()
        if when is None:
            return
        if self._timer is not None:
            if self._timer_at <= when:
                return
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_later(max(0.0, when - time.monotonic()), self._time_up)

    def _time_up(self) -> None:
        self._timer = None
        self._carry_out(self.scheduler.tick(time.monotonic()))

    def stop(self) -> None:
        """No more leases; who waits is told."""
        self._carry_out(self.scheduler.close())


def key_of(ticket: Ticket) -> tuple[int, int]:
    """The session and the call of a ticket."""
    key: Any = ticket.key
    return key[0], key[1]
