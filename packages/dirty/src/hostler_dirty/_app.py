"""What the author of an app writes: the base class, the mark for actions, and the call that is running.

An app is any class with `init`, `close` and public methods; `DirtyApp` gives the defaults. This module knows
neither processes nor sockets; it is imported by user code, so it stays light.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hostler_dirty.errors import DirtyAppNotFoundError, DirtyConfigError

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__hostler_dirty_action__"
RESERVED = frozenset(("init", "close", "warmup", "health"))


class DirtyApp:
    """Base of an app: one instance per worker that hosts it, living as long as the worker.

    Every public method is an action that callers may name. Class attributes tune the app; None means
    the pool's setting.
    """

    workers: int | None = None
    """In how many workers it lives; None: in all. `module:class:N` in `dirty_apps` beats it."""
    timeout: float | None = None
    """The longest call, seconds; 0: no limit."""
    init_timeout: float = 300.0
    """The longest `init` plus `warmup`, seconds; 0: no limit."""
    cancel_grace: float = 5.0
    """Seconds between the interrupt of a call and the kill of a worker that did not heed it."""
    max_queue: int | None = None
    max_queue_wait: float | None = None
    """The longest wait for a worker, seconds."""
    no_worker_wait: float = 0.0
    """How long a call waits for a worker while none is ready, seconds; 0: it fails at once."""
    max_requests: int | None = None
    """Replace a worker of it after so many calls; 0: never."""
    max_requests_jitter: int | None = None
    """The most that is added to `max_requests`, at random."""
    max_rss: int | None = None
    """Replace a worker of it whose resident memory exceeds so many octets; 0: never."""
    kill_on_cancel: bool = False
    """A call whose caller has gone and that does not end within `cancel_grace` is killed with its worker; otherwise
    it may go on until its deadline."""
    reload: str = "start-first"
    """`stop-first`: at a reload a worker ends before the next one starts, because two do not fit into the machine."""
    nice: int = 0
    """Added to the niceness of its workers, -20 to 19."""
    cpu_affinity: Sequence[int] | None = None
    """The CPUs that its workers may use; None: all."""
    dedicated: bool = False
    """Its workers host no other app that is limited."""
    memory: float = 1.0
    """Its weight for the placement."""
    resources: dict[str, int] = {}  # noqa: RUF012  (a default that subclasses replace)
    """Tokens of `dirty_resource` per worker: {"gpu": 1}."""
    env: dict[str, str] = {}  # noqa: RUF012
    """Environment of its workers, set before anything of the app is imported."""
    codec: str | None = None
    """How its values travel: `msgpack`, `pickle` (any Python value, for callers and apps that trust each other), or
    another codec that is installed; None: `dirty_codec`."""
    reraise: tuple[type[BaseException], ...] = ()
    """Exceptions that callers see as themselves instead of as DirtyAppError."""
    stashes: list[str] = []  # noqa: RUF012
    """Tables of the stash that exist from the start."""

    def init(self) -> Any:
        """Load what is heavy; runs once in the worker, before it takes calls. May be `async`."""

    def warmup(self) -> Any:
        """Run the model once, so that the first caller does not pay for it."""

    def health(self) -> Any:
        """Called now and then while idle; False or an exception has the worker replaced."""
        return True

    def close(self) -> Any:
        """Let go; runs once, after the last action ended."""

    def __call__(self, action: str, *args: Any, **kwargs: Any) -> Any:
        """Dispatch an action; may be overridden."""
        return find_action(self, action)(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class Marks:
    """What `@action` said."""

    batch: int = 0
    max_wait: float = 0.0
    idempotent: bool = False
    priority: int | None = None
    timeout: float | None = None


def action(
    *,
    batch: int = 0,
    max_wait: float = 0.005,
    idempotent: bool = False,
    priority: int | None = None,
    timeout: float | None = None,
) -> Callable[[F], F]:
    """Mark a method with how its calls are to be run.

    `batch`: calls run together, up to so many; the method gets a list per parameter and returns a list, one
    item per call (an exception in it fails that call alone). `max_wait`: how long the first call of a batch
    waits for others, seconds. `idempotent`: run it again when its worker dies. `priority`: 0 (first) to 7.
    """
    if batch < 0 or (priority is not None and not 0 <= priority <= 7):
        raise DirtyConfigError("action(): batch must be at least 0, priority from 0 to 7")

    def mark(function: F) -> F:
        setattr(function, MARK, Marks(batch, max_wait, idempotent, priority, timeout))
        return function

    return mark


def marks(cls: type, name: str) -> Marks:
    """The marks of an action; the defaults when it has none."""
    return getattr(getattr(cls, name, None), MARK, None) or Marks()


def find_action(app: Any, name: str) -> Callable[..., Any]:
    """The method of an action. Raises DirtyAppNotFoundError for what callers may not name."""
    if callable_from_outside(app, name):
        found = getattr(app, name, None)
        if callable(found):
            return found  # type: ignore[no-any-return]
    raise DirtyAppNotFoundError(path_of(type(app)), name, f"{path_of(type(app))} has no action {name!r}")


def callable_from_outside(app: Any, name: str) -> bool:
    """Whether callers may name it at all: life-cycle methods and private names never."""
    return bool(name) and not name.startswith("_") and name not in RESERVED


def path_of(cls: type) -> str:
    """`module:Class`, as `dirty_apps` and callers write it."""
    return f"{cls.__module__}:{cls.__qualname__}"


def is_custom_dispatch(cls: type) -> bool:
    """The class has a `__call__` of its own."""
    owner = next((c for c in cls.__mro__ if "__call__" in vars(c)), None)
    return owner is not None and owner is not DirtyApp


def describe(cls: type) -> dict[str, Any]:
    """What the arbiter must know of an app, as plain values."""
    values: dict[str, Any] = {"batches": {}, "idempotent": [], "priorities": {}, "timeouts": {}}
    for name, member in inspect.getmembers(cls, callable):
        said = getattr(member, MARK, None)
        if said is None:
            continue
        if said.batch:
            values["batches"][name] = [said.batch, said.max_wait]
        if said.idempotent:
            values["idempotent"].append(name)
        if said.priority is not None:
            values["priorities"][name] = said.priority
        if said.timeout is not None:
            values["timeouts"][name] = said.timeout
    for name in _DESCRIBED:
        default = getattr(DirtyApp, name)
        value = getattr(cls, name, default)
        values[name] = default if callable(value) else value  # an action may have the name of an attribute
    return values


_DESCRIBED = (
    "workers", "timeout", "init_timeout", "cancel_grace", "max_queue", "max_queue_wait", "no_worker_wait",
    "max_requests", "max_requests_jitter", "max_rss", "kill_on_cancel", "reload", "nice", "cpu_affinity",
    "dedicated", "memory", "resources", "env", "codec", "stashes",
)  # fmt: skip


class DirtyCancelled(BaseException):
    """Raised inside an action whose caller has gone or cancelled it. Clean up and let it pass."""


class DirtyDeadlineExceeded(DirtyCancelled):
    """Raised inside an action whose deadline passed."""


@dataclass(slots=True, eq=False)
class Call:
    """The call that an action serves."""

    id: int
    app: str
    action: str
    deadline_ns: int = 0
    """CLOCK_MONOTONIC nanoseconds; 0: none."""
    attempt: int = 1
    slot: int = 0
    priority: int = 4
    trace: dict[str, str] = field(default_factory=dict)
    """W3C trace context of the caller: `traceparent`, `tracestate`, `baggage`."""
    cancelled: bool = False
    interrupt: type[DirtyCancelled] | None = None
    delivered: bool = False
    """The interrupt was raised; it comes once."""
    shields: int = 0
    thread: int = 0
    cancel_task: Callable[[], Any] | None = None
    """Cancels the asyncio task that serves it; None while no task does."""

    @property
    def deadline(self) -> float | None:
        """On the scale of time.monotonic(); None: no limit."""
        return self.deadline_ns / 1e9 if self.deadline_ns else None

    def remaining(self) -> float | None:
        """Seconds left; None: no limit."""
        return max(0.0, self.deadline_ns / 1e9 - time.monotonic()) if self.deadline_ns else None

    def check(self) -> None:
        """Raise DirtyCancelled when the result is wanted no more; call it in long loops of native code."""
        if self.interrupt is not None:
            self.delivered = True
            raise self.interrupt
        if self.cancelled:
            raise DirtyCancelled

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Put off an interrupt until the end of the block (a commit, a file that must be whole)."""
        self.shields += 1
        try:
            yield
        finally:
            self.shields -= 1
        if not self.shields and self.interrupt is not None and not self.delivered:
            self.delivered = True
            raise self.interrupt


_running: ContextVar[Call | None] = ContextVar("hostler_dirty_call", default=None)


def current_call() -> Call:
    """The call that this code serves. Raises LookupError outside an action."""
    call = _running.get()
    if call is None:
        raise LookupError("no dirty call is running here")
    return call


def running_call() -> Call | None:
    """As `current_call`, or None."""
    return _running.get()


def set_running(call: Call | None) -> None:
    """For executors: the call that this thread or task begins; None: it ended."""
    _running.set(call)


def main_thread_ident() -> int:
    """The identity of the thread that signals interrupt."""
    ident = threading.main_thread().ident
    assert ident is not None
    return ident
