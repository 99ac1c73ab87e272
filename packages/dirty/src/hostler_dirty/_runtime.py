"""The inside of a worker: channels, the threads that execute calls, and the thread that watches them.

An executor (the main thread is the first) waits for a CALL on any channel, runs it where it stands, and
answers; so a small call costs one receive and one send. While a call runs, its channel and the control
connection are the watcher's: it takes recalls, credits and inputs, sees a caller leave, and interrupts what
exceeds its deadline. The watcher never runs code of an app.

Lease rule: a channel takes a CALL only with a lease above its `revoked` mark; the arbiter's RECALL moves the
mark under the lock, so a lease that was given back cannot be used.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from hostler_dirty import _line, _stacks, _unwanted, _wire
from hostler_dirty._app import Call, DirtyCancelled, DirtyDeadlineExceeded
from hostler_dirty._arena import Page
from hostler_dirty._batch import Batches
from hostler_dirty._execute import Executor
from hostler_dirty._hosting import Hosted, Loop
from hostler_dirty._interrupts import Interrupts
from hostler_dirty._line import Control
from hostler_dirty._lingering import LINGER, Lingering
from hostler_dirty._orphan import Orphan
from hostler_dirty._runtime_words import COST, HEARTBEAT, SERVED, SLOTS
from hostler_dirty._served import Served
from hostler_dirty._tally import Tally
from hostler_dirty._wire import Frame
from hostler_dirty.errors import DirtyProtocolError

logger = logging.getLogger("hostler.dirty")

FOREVER = float("inf")


class Runtime:
    """One worker's state. `run` returns when the worker is to end."""

    def __init__(self, control: Control, page: Page, apps: dict[str, Hosted], boot: dict[str, Any]) -> None:
        self.control = control
        self.words = page.words
        self.apps = apps
        self.slot: int = boot["slot"]
        self.threads: int = boot["threads"]
        self.limit: int = boot["max_payload"]
        self.stall: float = boot["stall"]
        self.health_interval: float = boot["health_interval"]
        self.slow_call: float = boot["slow_call"]
        self.lock = threading.Lock()
        self.interrupts = Interrupts()
        self.loop = Loop()
        self.channels: dict[int, Served] = {}
        self.by_id: dict[int, Served] = {}
        self.current: list[tuple[Call, Served] | None] = [None] * self.threads
        self.executing = select.epoll()
        self.watching = select.epoll()
        self.next_wake = FOREVER
        self.draining = False
        self.stopped = False
        self.batches = Batches(self)
        self.executor = Executor(self)
        self.tally = Tally(control, self.threads)
        self._stop_read, self._stop_write = os.pipe()
        self._poke_read, self._poke_write = os.pipe()
        for fd in (self._poke_read, self._poke_write):
            os.set_blocking(fd, False)
        self.executing.register(self._stop_read, select.EPOLLIN)
        self.watching.register(self._poke_read, select.EPOLLIN)
        self.watching.register(control.fileno(), select.EPOLLIN)
        self._health_at = time.monotonic() + self.health_interval
        self.lost = self.leaving = False
        self.orphan = Orphan(self.watching, boot["graceful_timeout"])
        self.lingering = Lingering(self)

    # -- life -------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Start the watcher; before the apps are loaded, so that a slow `init` is not taken for a hang."""
        self.interrupts.install()
        threading.Thread(target=self._watch, name="dirty-watch", daemon=True).start()

    def run(self) -> None:
        """Execute calls until the arbiter, or the loss of it, ends the worker."""
        threads = [
            threading.Thread(target=self._execute, args=(index,), name=f"dirty-{index}")
            for index in range(1, self.threads)
        ]
        for thread in threads:
            thread.start()
        self._execute(0)
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        """Have every executor return after its call."""
        self.stopped = True
        os.write(self._stop_write, b"x")

    def leave(self) -> None:
        """Asked to end, in a signal handler: the watcher acts, because a handler must take no lock."""
        self.leaving = True
        self.poke()

    def abandon(self) -> None:
        """The arbiter is gone: finish what runs, take no more, end."""
        with self.lock:
            self.draining = True
            for channel in self.channels.values():
                if channel.call is None:
                    channel.revoked = channel.lease
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self.draining and not self.stopped and not any(self.current):
            self.stop()

    # -- executors --------------------------------------------------------------------------------------

    def _execute(self, index: int) -> None:
        """One executor's life."""
        thread = threading.get_ident()
        while not self.stopped:
            try:
                self._turn(index, thread)
            except DirtyCancelled:
                # An interrupt that came when its call had just ended (asynchronous exceptions only).
                continue

    def _turn(self, index: int, thread: int) -> None:
        timeout = self.batches.timeout()
        if self.lingering.channels:
            timeout = LINGER
        if index == 0 and self.health_interval:
            left = max(0.0, self._health_at - time.monotonic())
            timeout = left if timeout < 0 else min(timeout, left)
        events = self.executing.poll(timeout, 1)
        lease = self.lingering.end(events[0][0] if events else -1) if self.lingering.channels else 0
        for fd, event in events:
            channel = self.channels.get(fd)
            if channel is None:
                continue
            if event & select.EPOLLHUP:  # its caller has gone, and with it whatever it may have sent
                self.drop(channel)
            else:
                called = self._readable(channel, index, thread)
                if lease and not called:  # what came was the rest of the call before
                    self.lingering.take_back(channel, lease)
        self.batches.run_due(index, thread)
        if index == 0 and self.health_interval and time.monotonic() >= self._health_at:
            self._check_health()

    def _readable(self, channel: Served, index: int, thread: int) -> bool:
        """Run what has come; whether a call was in it."""
        try:
            frames = channel.receive()
        except (DirtyProtocolError, MemoryError) as error:
            logger.warning("dirty worker %d: a caller was cut off: %s", self.slot, error)
            frames = None
        if frames is None:
            self.drop(channel)
            return False
        waiting = called = False
        for position, frame in enumerate(frames):
            if frame.kind == _wire.CALL:
                called, channel.early = True, frames[position + 1 :]
                waiting = self.executor.begin(channel, frame, index, thread)
            elif frame.kind not in (_wire.CREDIT, _wire.INPUT, _wire.INPUT_END):
                logger.warning("dirty worker %d: a caller was cut off: frame %d", self.slot, frame.kind)
                channel.dead = True
        if not waiting:
            self.rearm(channel)
        return called

    def rearm(self, channel: Served) -> None:
        """Listen to the channel again, or close it when its caller has gone."""
        if channel.dead:
            self.drop(channel)
        else:
            self.executing.modify(channel.fd, select.EPOLLIN | select.EPOLLONESHOT)

    def drop(self, channel: Served) -> None:
        """Close the channel; its lease goes back."""
        with self.lock:
            if self.channels.pop(channel.fd, None) is None:
                return
            self.by_id.pop(channel.id, None)
            lease = channel.lease if channel.lease > channel.revoked else 0
        self.executing.unregister(channel.fd)
        channel.close()
        self.control.send(_wire.pack(_wire.GONE, channel.id, deadline=lease))

    def publish(self, call: Call, channel: Served, index: int) -> None:
        """The call begins: let the watcher and the arbiter see its deadline."""
        at = SLOTS + 3 * index
        self.words[at + 1] = call.deadline_ns
        self.words[at + 2] = time.monotonic_ns()
        self.words[at] = call.id
        self.current[index] = (call, channel)
        if call.deadline_ns and call.deadline_ns < self.next_wake:
            self.poke()

    def retract(self, index: int) -> int:
        """The call is over; how long it took, in nanoseconds."""
        at = SLOTS + 3 * index
        took = int(time.monotonic_ns() - self.words[at + 2])
        self.words[at] = 0
        self.words[SERVED] += 1
        cost = int(self.words[COST])
        # Towards the median by an eighth: a call in which the machine did something else says nothing.
        self.words[COST] = (cost + (cost >> 3) if took > cost else cost - (cost >> 3)) if cost else took
        self.current[index] = None
        if self.draining:
            self._end_if_idle()
        return took

    def started(self, call: Call, channel: Served, index: int) -> None:
        """As `publish`, and the channel is the watcher's."""
        self.publish(call, channel, index)
        self.watch_channel(channel)

    def ended(self, channel: Served, index: int) -> int:
        """As `retract`, and the channel is the executor's again."""
        self.unwatch_channel(channel)
        return self.retract(index)

    def watch_channel(self, channel: Served) -> None:
        """While a call runs, the watcher reads its channel."""
        if not channel.dead:
            self.watching.register(channel.fd, select.EPOLLIN)
            channel.watched = True

    def unwatch_channel(self, channel: Served) -> None:
        """The executors read it again."""
        with self.lock:
            if channel.watched:
                channel.watched = False
                self.watching.unregister(channel.fd)

    def _check_health(self) -> None:
        self._health_at = time.monotonic() + self.health_interval
        for app in self.apps.values():
            try:
                good, why = app.healthy(self.loop), "it said no"
            except Exception as error:  # noqa: BLE001  (the app's own code)
                good, why = False, repr(error)
            if not good:
                self.control.report("unhealthy", app=app.path, message=why)

    # -- the watcher ------------------------------------------------------------------------------------

    def poke(self) -> None:
        """Have the watcher look again now."""
        try:
            os.write(self._poke_write, b"x")
        except BlockingIOError:
            return

    def _watch(self) -> None:
        while True:
            self.next_wake = FOREVER
            now = time.monotonic_ns()
            self.words[HEARTBEAT] = now
            wake = now + 1_000_000_000
            self.tally.turn(now)
            if self.leaving:
                self.leaving = False
                if self.lost:
                    self.abandon()
                else:
                    self.control.report("leaving")  # the arbiter drains us
            for running in tuple(self.current):
                if running is not None:
                    wake = min(wake, self._expire(running[0], now))
            self.next_wake = wake
            for fd, _ in self.watching.poll(max(0.0, (wake - time.monotonic_ns()) / 1e9)):
                if fd == self._poke_read:
                    os.read(fd, 4096)
                elif fd == self.control.fileno():
                    self._on_control()
                elif fd == self.orphan.fileno:
                    self.orphan.alone()
                else:
                    self._on_channel(fd)

    def _expire(self, call: Call, now: int) -> int:
        """Interrupt the call when its time is over; when to look again."""
        if not call.deadline_ns or call.interrupt is not None:
            return now + 1_000_000_000
        if call.deadline_ns <= now:
            self.interrupts.interrupt(call, DirtyDeadlineExceeded)
            return now + 1_000_000_000
        return call.deadline_ns

    def _on_channel(self, fd: int) -> None:
        with self.lock:
            channel = self.channels.get(fd)
            if channel is None or not channel.watched:
                return
            try:
                frames = channel.receive()
            except (DirtyProtocolError, MemoryError) as error:
                logger.warning("dirty worker %d: a caller was cut off: %s", self.slot, error)
                frames = None
            if frames is None:
                channel.dead = True
                channel.watched = False
                self.watching.unregister(fd)
        if frames is None:
            self._caller_left(channel)
            return
        for frame in frames:
            channel.take(frame)

    def _caller_left(self, channel: Served) -> None:
        call = channel.call
        if call is not None and call.id:
            # One that leaves at its deadline was quicker than our watcher.
            late = call.deadline_ns and call.deadline_ns <= time.monotonic_ns() + 1_000_000
            self.interrupts.interrupt(call, DirtyDeadlineExceeded if late else DirtyCancelled)
            _unwanted.mark(self, call)
        channel.wake()

    def _on_control(self) -> None:
        messages = self.control.receive()
        if messages is None:
            self.lost = self.control.gone = True
            self.watching.unregister(self.control.fileno())
            self.abandon()
            self.orphan.begin()
            return
        for frame, fds in messages:
            handler = self._HANDLERS.get(frame.kind)
            if handler is None:
                logger.warning("dirty worker %d: unknown order %d", self.slot, frame.kind)
            else:
                handler(self, frame, fds)

    def _on_intro(self, frame: Frame, fds: list[int]) -> None:
        if not fds:  # no descriptor is left here, so the kernel has closed it
            self.control.send(_wire.pack(_wire.GONE, frame.call))
            return
        sock, outside = socket.socket(fileno=fds[0]), bool(frame.flags & _wire.OUTSIDE)
        channel = Served(frame.call, sock, self.limit, outside=outside)
        with self.lock:
            self.channels[channel.fd] = self.by_id[channel.id] = channel
        self.executing.register(channel.fd, select.EPOLLIN | select.EPOLLONESHOT)

    def _on_allow(self, frame: Frame, fds: list[int]) -> None:
        channel = self.by_id.get(frame.call)
        if channel is not None:
            channel.allow(frame.deadline, _line.decode(frame.body))

    def _on_recall(self, frame: Frame, fds: list[int]) -> None:
        lease = frame.call
        with self.lock:
            channel = self.by_id.get(frame.deadline)
            if channel is not None and channel.lease == lease and channel.call is not None:
                channel.give_back = True
                return
            if channel is not None:
                channel.revoked = max(channel.revoked, lease)
                if any(self.current):
                    channel.tell_stale(lease)  # before DONE: the next lease is not to be taken for this one
        self.control.send(_wire.pack(_wire.DONE, lease))

    def _on_drain(self, frame: Frame, fds: list[int]) -> None:
        self.draining = True
        self.stop()

    def _on_stacks(self, frame: Frame, fds: list[int]) -> None:
        self.control.send(_wire.pack(_wire.STACKS, frame.call, _stacks.dump()))

    _HANDLERS: dict[int, Callable[[Runtime, Frame, list[int]], None]] = {  # noqa: RUF012  (never changed)
        _wire.INTRO: _on_intro,
        _wire.ALLOW: _on_allow,
        _wire.RECALL: _on_recall,
        _wire.DRAIN: _on_drain,
        _wire.STACKS: _on_stacks,
    }
