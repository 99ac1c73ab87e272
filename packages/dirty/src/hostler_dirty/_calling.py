"""What every kind of caller shares: options, deadlines, a caller's end of a channel, and answers as values.

Blocking and asyncio clients differ only in how they wait; what they send and how they judge what comes is
here. No waiting is done in this module.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hostler_dirty import _arena, _line, _parcel, _payload, _wire, codecs
from hostler_dirty._app import running_call
from hostler_dirty._arena import STARTED, Absent, Arena, Page, Window
from hostler_dirty._codec import Feed
from hostler_dirty._place import HERE
from hostler_dirty._reraise import restore_app_error
from hostler_dirty._ring import ring
from hostler_dirty._wire import COLLECT, FED, KEPT, STREAM, Frame, FrameReader
from hostler_dirty.codecs import Codec
from hostler_dirty.errors import (
    DirtyConnectionError,
    DirtyError,
    DirtyTimeoutError,
    DirtyUsageError,
    restore,
)

logger = logging.getLogger("hostler.dirty")

ATTEMPTS = 3
"""A call that no worker has begun is offered to so many workers."""
CREDIT_CHUNKS, CREDIT_OCTETS = 16, 1 << 18
"""A stream's reader tells the worker after so many chunks or octets that it has taken them."""
FEED_WINDOW = 64
"""So many items of an input stream may be on their way."""
MARGIN_NS = 50_000_000
PATIENCE = 0.01
"""Seconds that a call may stand in a worker behind another one; then it had better queue at the arbiter."""

_ids = itertools.count(1)


def next_id() -> int:
    """A call id; unique in this process."""
    return next(_ids)


@dataclass(frozen=True, slots=True)
class Options:
    """How a call is made; the same for every client."""

    timeout: float | None = None
    """Seconds; 0: no limit; None: the app's, then the pool's."""
    priority: int | None = None
    """0 (first) to 7."""
    affinity: str = ""
    """Calls with the same key go to the same worker if it is free."""
    idempotent: bool | None = None
    """Run it again when the worker dies in it."""
    no_worker_wait: float = 0.0
    """Wait so long for a worker while none is ready, seconds."""
    max_queue_wait: float = 0.0
    collect: bool = False
    """A stream's chunks as one list."""
    allow_blocking: bool = False
    """`execute` may block a running event loop."""
    trace: dict[str, str] | None = None
    left: Callable[[], bool] | None = None
    """Asked now and then while a blocking call waits: whether nobody wants its result any more."""


DEFAULT = Options()


@dataclass(slots=True, eq=False)
class Plan:
    """One call, ready to be sent to whatever worker it gets."""

    id: int
    app: str
    action: str
    args: Any
    kwargs: dict[str, Any]
    options: Options
    deadline: int
    priority: int
    flags: int
    idempotent: bool
    batched: bool
    attempt: int = 1
    renewed: bool = False
    """It has waited before: the arbiter died meanwhile, or its lease was taken back. It is not turned away now."""
    feed: Any = None
    timeout: float = 0.0
    codec: Codec | None = None
    """The app's; None: the pool's own."""
    patience: float = PATIENCE
    """Seconds until its caller looks whether it stands behind another call; grows with every look."""

    @property
    def roams(self) -> bool:
        """Any lease of the app will do, and it may be sent again: neither a batch is made for it nor items follow."""
        return not self.batched and self.feed is None

    @property
    def limit(self) -> int:
        return HERE.max_payload

    def item(self, value: Any) -> bytes:
        """The INPUT frame of an item of the input stream."""
        return _payload.pack_one(_wire.INPUT, self.id, value, self.codec, None, self.limit)

    def left(self) -> float | None:
        """Seconds until the deadline; None: there is none."""
        return None if not self.deadline else (self.deadline - time.monotonic_ns()) / 1e9

    def expired(self, stage: str) -> DirtyTimeoutError:
        """The error for a deadline that passed at this stage."""
        return DirtyTimeoutError(
            f"{self.app}.{self.action} took longer than {self.timeout:g} s", self.timeout, stage
        )

    def lease(self, forgotten: list[int]) -> bytes:
        """The LEASE frame."""
        options = self.options
        body = _line.encode(
            (
                self.app,
                self.action,
                options.affinity,
                options.no_worker_wait,
                options.max_queue_wait,
                forgotten,
            )
        )
        flags = (_wire.REPEATED if self.attempt > 1 or self.renewed else 0) | (self.flags & FED)
        return _wire.pack(_wire.LEASE, self.id, body, flags, self.priority, self.deadline)


def plan(
    app: str,
    action: str,
    args: Any,
    kwargs: dict[str, Any],
    options: Options,
    info: dict[str, Any],
    flags: int,
) -> Plan:
    """Work out the deadline and the marks of a call. `info`: what the pool says of the app."""
    timeout = _timeout(action, options, info)
    deadline = time.monotonic_ns() + int(timeout * 1e9) if timeout else 0
    parent = running_call()
    if parent is not None and parent.trace and not options.trace:
        options = dataclasses.replace(options, trace=parent.trace)
    if parent is not None and parent.deadline_ns and (not deadline or parent.deadline_ns < deadline):
        deadline = parent.deadline_ns
        timeout = timeout or parent.remaining() or 0.0
    priority = options.priority
    if priority is None:
        priority = (info.get("priorities") or {}).get(action, 4)
    idempotent = options.idempotent
    if idempotent is None:
        idempotent = action in info.get("idempotent", ())
    if options.collect:
        flags |= COLLECT
    feed = None
    args, kwargs, feed = _find_feed(args, kwargs)
    if feed is not None:
        flags |= FED
    batched = action in info.get("batches", ())
    codec = info.get("codec")
    return Plan(
        next_id(), app, action, args, kwargs, options, deadline, priority, flags, idempotent, batched,
        feed=feed, timeout=timeout, codec=None if codec is None or codec == codecs.DEFAULT else codecs.find(codec),
    )  # fmt: skip


def _timeout(action: str, options: Options, info: dict[str, Any]) -> float:
    limits = [options.timeout, (info.get("timeouts") or {}).get(action), info.get("timeout"), HERE.timeout]
    said = [limit for limit in limits if limit is not None]
    if options.timeout == 0.0 or said[0] == 0.0:
        return 0.0
    return min((limit for limit in said if limit), default=0.0)


def _find_feed(args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any], Any]:
    """An argument that is an iterator becomes an input stream."""
    for index, value in enumerate(args):
        if type(value) not in _PLAIN and isinstance(value, (Iterator, AsyncIterator)):
            return (*args[:index], Feed(), *args[index + 1 :]), kwargs, value
    for name, value in kwargs.items():
        if type(value) not in _PLAIN and isinstance(value, (Iterator, AsyncIterator)):
            return args, {**kwargs, name: Feed()}, value
    return args, kwargs, None


_PLAIN = frozenset((str, bytes, int, float, bool, list, dict, tuple, type(None)))


class Channel:
    """The caller's end."""

    __slots__ = (
        "app",
        "arena",
        "bare",
        "chunks",
        "group",
        "id",
        "lease",
        "memory",
        "octets",
        "page",
        "reader",
        "size",
        "sock",
        "window",
        "worker",
    )

    def __init__(self, number: int, worker: int, sock: socket.socket, *, bare: bool = False) -> None:
        """Make the shared memory and send it to the worker; the socket is still blocking. Raises OSError.

        `bare`: without shared memory, because the worker trusts us too little or there is none to be had.
        """
        self.id, self.worker, self.sock = number, worker, sock
        self.lease = self.group = self.size = 0
        self.app = ""
        self.chunks = self.octets = 0
        self.reader = FrameReader(HERE.max_payload + (1 << 20))
        self.bare = bare
        self.memory: Arena | None = None
        self.page: Any = Absent()
        self.arena: Any = Absent()
        self.window: Any = Absent()
        if bare:
            sock.sendall(_wire.pack(_wire.ATTACH, 0, flags=_wire.BARE))
            return
        try:
            self.arena = self.memory = Arena(_arena.create(), base=_arena.PAGE)
            self.page = Page(self.memory.fd, create=True)
            self.window = Window(_arena.create())
            _line.send_with(sock, _wire.pack(_wire.ATTACH, 0), (self.memory.fd, self.window.fd))
        except OSError:
            for part in (self.window, self.arena, self.page):
                part.close()
            raise

    def call(self, plan: Plan, *, keep: bool) -> bytes:
        """The CALL frame; large arguments lie in the shared memory afterwards."""
        options: Any = None
        if plan.attempt > 1 or plan.options.trace:
            options = {"attempt": plan.attempt, "trace": plan.options.trace}
        place = coded = None
        if plan.codec is not None:
            place, *values = _parcel.without_feed(plan.args, plan.kwargs)
            coded = plan.codec, values
        return _payload.compose(
            _wire.CALL,
            plan.id,
            (
                self.lease,
                self.group,
                self.size,
                plan.app,
                plan.action,
                plan.codec.name if plan.codec else plan.args,
                place if plan.codec else plan.kwargs,
                options,
            ),
            self.memory,
            plan.limit,
            flags=plan.flags | (KEPT if keep else 0),
            priority=plan.priority,
            deadline=plan.deadline,
            coded=coded,
        )

    def blocked(self, plan: Plan) -> bytes:
        """The frame that tells the arbiter that the call has not begun, when that is worth a look again."""
        plan.patience = min(1.0, 2 * plan.patience)
        return _wire.pack(_wire.BLOCKED, self.id, deadline=self.lease)

    def unread(self, frame: Frame) -> bool:
        """A STALE frame tells of a lease while the worker has yet to read, and throw away, the call in shared memory.

        What another call wrote there would be taken for it: the channel is to be closed.
        """
        return not frame.call and self.memory is not None and self.memory.written

    def stale(self, frame: Frame) -> bool:
        """Not part of an answer: it speaks of a lease that has been replaced meanwhile, or tells of the start."""
        if frame.kind < _wire.STALE:
            return False
        if frame.kind == _wire.BEGAN:
            self.page.words[STARTED] = frame.call
            return True
        return frame.deadline != self.lease

    def began(self, call: int) -> bool:
        """Whether the worker has begun this call, so that it may have had effects."""
        return int(self.page.words[STARTED]) == call

    def value(self, frame: Frame, plan: Plan) -> Any:
        """What a RESULT or CHUNK brings."""
        value = _payload.read_one(frame, self.window, plan.codec)
        if frame.table:
            self.window.release()
        return value

    def taken(self, frame: Frame, plan: Plan) -> bytes:
        """A chunk was read: the CREDIT frame that is due, or b""."""
        self.chunks += 1
        self.octets += _wire.HEADER.size + len(frame.body)
        if frame.table:
            self.octets += len(frame.table) * _wire.ENTRY.size + sum(map(len, frame.inline))
        if self.chunks < CREDIT_CHUNKS and self.octets < CREDIT_OCTETS and not frame.table:
            return b""
        credit = _wire.pack(_wire.CREDIT, plan.id, deadline=self.chunks << 32 | self.octets)
        self.chunks = self.octets = 0
        return credit

    def close(self) -> None:
        """The worker sees it, and interrupts what it runs for us."""
        self.sock.close()
        self.window.close()
        self.arena.close()
        self.page.close()


def introduced(number: int, worker: int, sock: socket.socket) -> Channel:
    """A channel that the arbiter has made. Raises OSError when the worker is gone already."""
    if HERE.address:
        return Channel(number, worker, sock, bare=True)
    try:
        return Channel(number, worker, sock)
    except OSError as error:
        channel = Channel(number, worker, sock, bare=True)
        logger.warning("no shared memory for a channel (%s): payloads go through its socket", error)
        return channel


def without_descriptors() -> DirtyConnectionError:
    """The error when a channel came and no descriptor was left for it."""
    return DirtyConnectionError(
        "No file descriptor is left in this process for a channel to a dirty worker (raise RLIMIT_NOFILE)"
    )


def error_of(frame: Frame) -> BaseException:
    """The exception that an ERROR or REJECT frame brings."""
    values = _line.decode(frame.body)
    if values.get("reraise"):
        return restore_app_error(values)
    return restore(values)


def forget_asyncio(options: Options) -> None:
    """Raises DirtyUsageError in a thread whose event loop runs: blocking it would stop everything."""
    import sys  # noqa: PLC0415

    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and not options.allow_blocking and asyncio._get_running_loop() is not None:  # noqa: SLF001
        raise DirtyUsageError(
            "execute() would block the running event loop: use `await client.execute_async(…)`, for streams "
            "`client.stream_async(…)` (or options(allow_blocking=True))"
        )


def lost(fate: dict[str, Any], plan: Plan) -> DirtyError:
    """The error of a call whose worker died in it."""
    from hostler_dirty.errors import DirtyWorkerError  # noqa: PLC0415

    how = fate.get("signal") or (
        f"exit code {fate['exit_code']}" if fate.get("exit_code") is not None else ""
    )
    reason = fate.get("reason") or "unknown"
    return DirtyWorkerError(
        f"The worker died in {plan.app}.{plan.action}: {reason}{f' ({how})' if how else ''}",
        fate.get("worker_id"),
        details=fate,
    )


def unanswered(timeout: float) -> DirtyTimeoutError:
    """The error when no arbiter answered in time."""
    return DirtyTimeoutError(f"The dirty arbiter did not answer within {timeout:g} s", timeout, "queue")


__all__ = [
    "ATTEMPTS", "DEFAULT", "FEED_WINDOW", "MARGIN_NS", "STREAM", "Channel", "Options", "Plan", "error_of",
    "forget_asyncio", "introduced", "lost", "next_id", "plan", "ring", "unanswered", "without_descriptors",
]  # fmt: skip
