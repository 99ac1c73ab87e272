"""asyncio callers: one session per event loop, shared by all its tasks; one channel per running call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from typing import Any

from hostler_dirty import _line, _wire
from hostler_dirty._calling import Plan, error_of, introduced, next_id, ring, without_descriptors
from hostler_dirty._lane import Wire, within
from hostler_dirty._lines import Gone
from hostler_dirty._place import HERE
from hostler_dirty._ring import Later, unreachable
from hostler_dirty._wire import Frame, FrameReader
from hostler_dirty.errors import DirtyProtocolError


class Hub:
    """The session of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sock = ring()
        self._sock.setblocking(False)
        self._reader = FrameReader(_line.CONTROL_LIMIT)
        self._fds: list[int] = []
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._out = bytearray()
        self._forgotten: list[int] = []
        self.wires: dict[int, Wire] = {}
        self.kept: dict[str, list[Wire]] = {}
        self.apps: dict[str, dict[str, Any]] = {}
        self.closed = False
        self.greeted: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._sock.fileno(), self._readable)

    # -- the session ------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        if self.closed:
            raise Gone
        if self._out:
            self._out += data
            return
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.close()
            raise Gone from error
        if sent < len(data):
            self._out += data[sent:]
            self._loop.add_writer(self._sock.fileno(), self._writable)

    def _writable(self) -> None:
        try:
            del self._out[: self._sock.send(self._out)]
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not self._out:
            self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        try:
            data, fds = _line.receive_with(self._sock)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        self._fds += fds
        if not data:
            self.close()
            return
        try:
            for frame in self._reader.feed(data):
                self._frame(frame)
        except DirtyProtocolError:
            self.close()

    def _frame(self, frame: Frame) -> None:
        if frame.kind == _wire.WELCOME:
            greeting = _line.decode(frame.body)
            self.apps = greeting["apps"]
            HERE.heard(greeting)
            if not self.greeted.done():
                self.greeted.set_result(None)
            return
        if not self.greeted.done():  # turned away
            self.greeted.set_exception(error_of(frame))
            return
        future = self._waiting.pop(frame.call, None)
        if frame.kind == _wire.GRANT:
            self._granted(frame, future)
        elif future is not None and not future.done():
            if frame.kind == _wire.REJECT:
                error = error_of(frame)
                assert isinstance(error, Exception)
                future.set_exception(error)
            else:
                future.set_result(_line.decode(frame.body))

    def _granted(self, frame: Frame, future: asyncio.Future[Any] | None) -> None:
        lease, number, worker, group, size = _line.decode(frame.body)
        wire, problem = self.wires.get(number), None
        if frame.flags & _wire.FRESH:
            if self._fds:
                wire = self._introduced(number, worker, socket.socket(fileno=self._fds.pop(0)))
            else:  # the kernel closes what this process has no number for
                self._forgotten.append(number)
                problem = without_descriptors()
        if wire is None or wire.gone:
            if wire is not None:
                self.drop(wire)
            if future is not None and not future.done():
                future.set_exception(problem or Gone())
            return

        def inherit() -> None:
            channel = wire.channel
            channel.lease, channel.group, channel.size = lease, group, size
            if future is None or future.done():  # given up: the lease is being recalled
                return
            if wire.gone:
                future.set_exception(Gone())
                return
            wire.busy = True
            future.set_result((wire, bool(frame.flags & _wire.KEPT)))

        if wire.busy:
            if wire.streams:
                self._separate(wire, frame.call, future)
            else:
                wire.heirs.append(inherit)
            return
        kept = self.kept.get(wire.channel.app)
        if kept is not None and wire in kept:
            kept.remove(wire)  # what was kept has been recalled meanwhile
        inherit()

    def _introduced(self, number: int, worker: int, sock: socket.socket) -> Wire | None:
        """A new channel; None: its worker is gone already."""
        try:
            wire = self.wires[number] = Wire(self._loop, introduced(number, worker, sock), self._tell)
        except OSError:
            sock.close()
            self._forgotten.append(number)
            return None
        return wire

    def _separate(self, wire: Wire, call: int, future: asyncio.Future[Any] | None) -> None:
        """A lease came for a wire whose stream is over for the worker and not for its reader, who takes its time.

        The lease goes back, so that nobody waits for that reader, and the reader closes the wire in the end.
        """
        wire.last = True
        self._forgotten.append(wire.channel.id)
        self._tell(_wire.pack(_wire.UNLEASE, call))
        if future is not None and not future.done():
            future.set_exception(Gone())

    def release(self, wire: Wire) -> None:
        """The task that had the wire is done with it."""
        if wire.last:
            self.drop(wire)
            return
        wire.busy = wire.streams = False
        while wire.heirs and not wire.busy:
            wire.heirs.popleft()()

    async def lease(self, plan: Plan) -> tuple[Wire, bool]:
        """A channel with a lease for the call, and whether it may be kept. Raises what the arbiter answers."""
        forgotten, self._forgotten = self._forgotten, []
        future = self._waiting[plan.id] = self._loop.create_future()
        self._send(plan.lease(forgotten))
        try:
            return await within(self._loop, future, plan.deadline)  # type: ignore[no-any-return]
        except (asyncio.CancelledError, TimeoutError):
            self._waiting.pop(plan.id, None)
            self.unlease(plan)
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release(future.result()[0])  # it came at the moment of giving up
            raise
        finally:
            del future  # an exception in it has this frame in its traceback: see `within`

    def unlease(self, plan: Plan) -> None:
        """The call is wanted no more, or its lease is not needed."""
        self._tell(_wire.pack(_wire.UNLEASE, plan.id))

    def _tell(self, data: bytes) -> None:
        """Send what needs no answer; an arbiter that is gone knows anyway."""
        with contextlib.suppress(Gone):
            self._send(data)

    async def ask(self, kind: int, body: bytes, deadline: int = 0, number: int = 0) -> Any:
        """A question to the arbiter, and its answer. Raises Gone, TimeoutError."""
        call = next_id()
        future = self._waiting[call] = self._loop.create_future()
        try:
            self._send(_wire.pack(kind, call, body, deadline=number))
            return await within(self._loop, future, deadline)
        finally:
            self._waiting.pop(call, None)
            del future

    async def fate(self, worker: int) -> dict[str, Any]:
        """How a worker ended, if the arbiter can tell."""
        try:
            return await self.ask(_wire.FATE, b"", time.monotonic_ns() + 2_000_000_000, worker)  # type: ignore[no-any-return]
        except (Gone, TimeoutError):
            return {"reason": "unknown", "worker_id": worker}

    # -- channels ---------------------------------------------------------------------------------------

    def take_kept(self, app: str) -> Wire | None:
        """A channel whose lease was kept for the app."""
        kept = self.kept.get(app)
        while kept:
            wire = kept.pop()
            if not wire.gone:
                wire.busy = True
                return wire
            self.drop(wire)
        return None

    def keep(self, wire: Wire, app: str) -> None:
        wire.streams = False
        if wire.heirs or wire.last:
            self.release(wire)
            return
        if wire.channel.bare and not HERE.address:
            self.drop(wire)  # another one may get shared memory
            return
        wire.busy = False
        wire.channel.app = app
        self.kept.setdefault(app, []).append(wire)

    def drop(self, wire: Wire) -> None:
        """Close a channel that is in doubt."""
        if self.wires.pop(wire.channel.id, None) is not None:
            self._forgotten.append(wire.channel.id)
            wire.close()
            wire.last = False
            self.release(wire)

    def close(self) -> None:
        """Close the session and every channel; who waits sees it."""
        if self.closed:
            return
        self.closed = True
        if not self._loop.is_closed():
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Gone())
        self._waiting.clear()
        if not self.greeted.done():
            self.greeted.set_exception(Gone())
            self.greeted.exception()  # somebody may have given up waiting
        for fd in self._fds:
            os.close(fd)
        # Calls that run go on: their channels lead to the workers, not to the arbiter.
        for wire in [wire for wire in self.wires.values() if not wire.busy]:
            del self.wires[wire.channel.id]
            wire.close()
        self.kept.clear()


class Hubs:
    """The hubs of this process, by event loop."""

    def __init__(self) -> None:
        self._hubs: dict[asyncio.AbstractEventLoop, Hub] = {}

    async def get(self, deadline: int) -> Hub:
        """This loop's hub; an arbiter that is being replaced is waited for. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        while True:
            hub = self._hubs.get(loop)
            if hub is None or hub.closed:
                self._purge()
                try:
                    hub = self._hubs[loop] = Hub(loop)
                except Later:
                    if deadline and time.monotonic_ns() >= deadline:
                        raise TimeoutError from None
                    await asyncio.sleep(0.01)
                    continue
                except OSError as error:
                    raise unreachable(error) from None
            if hub.greeted.done() and not hub.closed:
                return hub
            try:
                await within(loop, asyncio.shield(hub.greeted), deadline)
            except Gone:
                await asyncio.sleep(0.01)

    def _purge(self) -> None:
        for loop in [loop for loop in self._hubs if loop.is_closed()]:
            self._hubs.pop(loop).close()

    def forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close a loop's hub."""
        hub = self._hubs.pop(loop, None)
        if hub is not None:
            hub.close()

    def leave(self) -> None:
        """This process calls another pool from now on: close every hub."""
        hubs, self._hubs = self._hubs, {}
        for loop, hub in hubs.items():
            if loop.is_running():
                loop.call_soon_threadsafe(hub.close)
            else:
                hub.close()

    def clear(self) -> None:
        """After a fork: the parent's loops are not ours, so nothing is done with them."""
        self._hubs.clear()


HUBS = Hubs()
HERE.resets.append(HUBS.clear)
