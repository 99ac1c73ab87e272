"""Blocking callers: a line is a session with its channels, used by one call at a time.

Threads and greenlets take a line from the pile and put it back; nested calls take another one. A line that
is in any doubt is closed: the arbiter and the workers see it and give back what it held.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from hostler_dirty import _line, _wire
from hostler_dirty._calling import (
    MARGIN_NS,
    Channel,
    Plan,
    error_of,
    introduced,
    next_id,
    ring,
    without_descriptors,
)
from hostler_dirty._place import HERE
from hostler_dirty._ring import Later, unreachable
from hostler_dirty._wire import Frame, FrameReader
from hostler_dirty.errors import DirtyClientGoneError, DirtyProtocolError

SLICE = 1.0
"""Seconds between two looks at the deadline."""
LOOK = 0.25
"""Seconds between two looks for whoever wants the result, where there is somebody to look for."""
IDLE_LINES = 64
MAIN_THREAD = threading.main_thread().ident


class Gone(Exception):
    """The worker, or the arbiter, closed its end."""


class Line:
    """A session and its channels."""

    def __init__(self, deadline: int = 0) -> None:
        """Ring, and wait for the arbiter's WELCOME. Raises Gone, TimeoutError, DirtyConnectionError."""
        self._sock = ring()
        self._sock.settimeout(SLICE)
        self.home = threading.get_native_id() if hasattr(self._sock, "hub") else 0
        """The thread whose loop a socket of gevent waits in; 0: any thread may use it."""
        self._reader = FrameReader(_line.CONTROL_LIMIT)
        self._frames: list[Frame] = []
        self._fds: list[int] = []
        self.channels: dict[int, Channel] = {}
        self.kept: dict[str, Channel] = {}
        self._forgotten: list[int] = []
        self.apps: dict[str, dict[str, Any]] = {}
        self.left: Callable[[], bool] | None = None
        """Whether nobody wants the result of the call that has the line now."""
        self._slice = SLICE
        self.closed = False
        self.scant = False
        """A channel has no shared memory, or none could be taken: a later line may be better off."""
        try:
            self._welcome(self._next(deadline))
        except BaseException:
            self.close()
            raise

    def _welcome(self, frame: Frame) -> None:
        if frame.kind == _wire.REJECT:
            raise error_of(frame)
        if frame.kind != _wire.WELCOME:
            raise DirtyProtocolError("The arbiter does not greet")
        greeting = _line.decode(frame.body)
        self.apps = greeting["apps"]
        HERE.heard(greeting)

    # -- the session ------------------------------------------------------------------------------------

    def lease(self, plan: Plan) -> tuple[Channel, bool]:
        """A channel with a lease for the call, and whether it may be kept. Raises what the arbiter answers."""
        forgotten, self._forgotten = self._forgotten, []
        self._send(plan.lease(forgotten))
        while True:
            frame = self._next(plan.deadline)
            if frame.kind == _wire.GRANT:
                channel = self._granted(frame)
                if frame.call != plan.id:
                    continue
                if channel is None:
                    if self.scant:
                        raise without_descriptors()
                    raise Gone
                return channel, bool(frame.flags & _wire.KEPT)
            if frame.call != plan.id:
                continue
            if frame.kind == _wire.REJECT:
                raise error_of(frame)
            raise DirtyProtocolError(f"The arbiter answered with frame {frame.kind}")

    def _granted(self, frame: Frame) -> Channel | None:
        lease, number, worker, group, size = _line.decode(frame.body)
        channel = self.channels.get(number)
        if frame.flags & _wire.FRESH:
            if not self._fds:  # the kernel closes what this process has no number for
                self.scant = True
                self._forgotten.append(number)
                return None
            sock = socket.socket(fileno=self._fds.pop(0))
            try:
                channel = introduced(number, worker, sock)
            except OSError:
                sock.close()
                self._forgotten.append(number)
                return None
            self.scant = self.scant or (channel.bare and not HERE.address)
            sock.settimeout(SLICE)
            self.channels[number] = channel
        if channel is not None:
            if self.kept.get(channel.app) is channel:
                del self.kept[channel.app]  # what was kept has been recalled meanwhile
            channel.lease, channel.group, channel.size = lease, group, size
        return channel

    def watch(self, left: Callable[[], bool] | None) -> None:
        """Ask this, while the call that has the line waits, whether nobody wants its result any more."""
        self.left = left
        self._slice = SLICE if left is None else LOOK

    def _mind(self, deadline: int) -> None:
        """A slice of a wait is over. Raises TimeoutError, DirtyClientGoneError."""
        _check(deadline)
        if self.left is not None and self.left():
            raise DirtyClientGoneError

    def unlease(self, plan: Plan) -> None:
        """The call is wanted no more, or its lease is not needed."""
        self._send(_wire.pack(_wire.UNLEASE, plan.id))

    def ask(self, kind: int, body: bytes, deadline: int = 0, number: int = 0) -> Any:
        """A question to the arbiter, and its REPLY."""
        call = next_id()
        self._send(_wire.pack(kind, call, body, deadline=number))
        while True:
            frame = self._next(deadline)
            if frame.kind == _wire.GRANT:
                self._granted(frame)
            elif frame.kind == _wire.REPLY and frame.call == call:
                return _line.decode(frame.body)

    def fate(self, worker: int) -> dict[str, Any]:
        """How a worker ended, if the arbiter can tell."""
        try:
            return self.ask(_wire.FATE, b"", time.monotonic_ns() + 2_000_000_000, worker)  # type: ignore[no-any-return]
        except (Gone, OSError, TimeoutError):
            return {"reason": "unknown", "worker_id": worker}

    def _send(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except OSError as error:
            self.close()
            raise Gone from error

    def _next(self, deadline: int) -> Frame:
        while not self._frames:
            try:
                _set_timeout(self._sock, deadline, self._slice)
                data, fds = _line.receive_with(self._sock)
            except TimeoutError:
                self._mind(deadline)
                continue
            except OSError as error:
                self.close()
                raise Gone from error
            if not data:
                self.close()
                raise Gone
            self._fds += fds
            self._frames = self._reader.feed(data)
        return self._frames.pop(0)

    # -- channels ---------------------------------------------------------------------------------------

    def send(self, channel: Channel, data: bytes, deadline: int) -> None:
        """Send to the worker. Raises Gone, TimeoutError."""
        view = memoryview(data)
        while view:
            try:
                view = view[channel.sock.send(view) :]
            except TimeoutError:
                self._mind(deadline)
            except OSError as error:
                raise Gone from error

    def receive(self, channel: Channel, plan: Plan) -> list[Frame]:
        """The next frames of the call from the worker. Raises Gone, TimeoutError, DirtyProtocolError."""
        deadline = plan.deadline
        _set_timeout(channel.sock, deadline, self._slice if channel.began(plan.id) else plan.patience)
        while True:
            try:
                data = channel.sock.recv(65536)
            except TimeoutError:
                self._mind(deadline)
                wanted = self._slice
                if not channel.began(plan.id):
                    self._stuck(channel, plan)
                    wanted = plan.patience
                _set_timeout(channel.sock, deadline, wanted)
                continue
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            frames = channel.reader.feed(data)
            while frames and channel.stale(frames[0]):
                del frames[0]
            if frames:
                return frames

    def _stuck(self, channel: Channel, plan: Plan) -> None:
        """The worker has not begun the call: the arbiter may have a better place for it."""
        frame = channel.blocked(plan)
        if plan.feed is None:
            with contextlib.suppress(OSError):  # no arbiter: the worker ends when it has done what it runs
                self._sock.send(frame)

    def receive_now(self, channel: Channel) -> list[Frame]:
        """As `receive`, without waiting."""
        channel.sock.settimeout(0.0)
        try:
            data = channel.sock.recv(65536)
        except BlockingIOError:
            return []
        except OSError as error:
            raise Gone from error
        finally:
            channel.sock.settimeout(SLICE)
        if not data:
            raise Gone
        return [frame for frame in channel.reader.feed(data) if not channel.stale(frame)]

    def drop(self, channel: Channel) -> None:
        """Close a channel that is in doubt."""
        if self.channels.pop(channel.id, None) is not None:
            self._forgotten.append(channel.id)
            if self.kept.get(channel.app) is channel:
                del self.kept[channel.app]
            channel.close()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._sock.close()
        for channel in self.channels.values():
            channel.close()
        for fd in self._fds:
            with contextlib.suppress(OSError):
                socket.socket(fileno=fd).close()
        self.channels.clear()
        self.kept.clear()


def _set_timeout(sock: socket.socket, deadline: int, wanted: float = SLICE) -> None:
    """Wake up at the deadline if it is near; otherwise after a slice."""
    if deadline:
        wanted = min(wanted, max(0.001, (deadline - time.monotonic_ns()) / 1e9))
    if sock.gettimeout() != wanted:
        sock.settimeout(wanted)


def _check(deadline: int) -> None:
    keep_alive = HERE.keep_alive
    if keep_alive is not None and threading.get_ident() == MAIN_THREAD:
        keep_alive()  # another thread that waits says nothing of the worker's loop
    if deadline and time.monotonic_ns() >= deadline:
        raise TimeoutError


class Pile:
    """The lines of this process that nobody uses now, and how many there are."""

    def __init__(self) -> None:
        self._idle: list[Line] = []
        self._lock = threading.Lock()

    def take(self, app: str, deadline: int) -> Line:
        """A line, best one that keeps a lease for the app. Raises DirtyConnectionError, TimeoutError."""
        with self._lock:
            if self._idle and not self._idle[0].home:
                for index in range(len(self._idle) - 1, -1, -1):
                    if app in self._idle[index].kept:
                        return self._idle.pop(index)
                return self._idle.pop()
            line = self._at_home(app) if self._idle else None
        return line or self.fresh(deadline)

    def _at_home(self, app: str) -> Line | None:
        """The best idle line of this thread; None: there is none."""
        thread = threading.get_native_id()
        mine = [line for line in self._idle if line.home == thread]
        best = next((line for line in reversed(mine) if app in line.kept), mine[-1] if mine else None)
        if best is not None:
            self._idle.remove(best)
        return best

    def fresh(self, deadline: int) -> Line:
        """A new line; an arbiter that is being replaced is waited for."""
        while True:
            try:
                return Line(deadline)
            except (Gone, Later):
                _check(
                    deadline
                )  # it died between the ring and its answer, or has no descriptor left: ring again
                time.sleep(0.01)
            except OSError as error:
                if isinstance(error, TimeoutError):
                    raise
                raise unreachable(error) from None

    def put(self, line: Line) -> None:
        """Give a line back; one that is closed, or too many, is forgotten."""
        if line.closed:
            return
        with self._lock:
            if len(self._idle) < IDLE_LINES and not line.scant:
                self._idle.append(line)
                return
        line.close()

    def clear(self) -> None:
        """Close all; after a fork too, where the copies of the descriptors are ours alone."""
        self._lock = threading.Lock()
        idle, self._idle = self._idle, []
        for line in idle:
            line.close()


PILE = Pile()
HERE.resets.append(PILE.clear)


def is_past(deadline: int) -> bool:
    """The deadline has passed, or is so near that the worker may have acted on it first."""
    return bool(deadline) and time.monotonic_ns() >= deadline - MARGIN_NS
