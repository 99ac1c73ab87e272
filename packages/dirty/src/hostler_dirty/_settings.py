"""The settings of the pool; their names begin with `dirty_`. gunicorn's come first, then those of our own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hostler.settings import choice, hook, integer, seconds, setting, size, text, texts


@dataclass(frozen=True, slots=True)
class DirtySettings:
    """Frozen; field `apps` is the setting `dirty_apps`."""

    apps: tuple[str, ...] = setting(
        (), kind=texts, flags=("--dirty-app",), help="An app of the pool: module:Class or module:Class:N."
    )
    workers: int = setting(
        0, kind=integer(0, 4096), help="How many dirty workers there are; 0: there is no pool."
    )
    timeout: float = setting(300.0, kind=seconds(), help="The longest a call may take; 0: no limit.")
    threads: int = setting(1, kind=integer(1, 1024), help="How many calls a dirty worker runs at a time.")
    graceful_timeout: float = setting(
        30.0,
        kind=seconds(),
        help="How long running calls may take to end at a stop, a reload or a recycling.",
    )
    max_queue: int = setting(100, kind=integer(0), help="How many calls may wait for one app.")
    max_payload: int = setting(
        256 << 20, kind=size(1 << 16, 1 << 30), help="The largest argument list or result, in octets."
    )
    executor: str = setting(
        "local",
        kind=text,
        help="What runs the apps: local (the pool), inline (in each HTTP worker itself), or an installed one.",
    )
    codec: str = setting(
        "msgpack", kind=text, help="The codec of the apps that name none; only one that never runs code."
    )
    boot: str = setting(
        "wait",
        kind=choice("wait", "background"),
        help="Whether the server waits until every app is loaded (an app that fails ends the boot).",
    )
    max_requests: int = setting(
        0, kind=integer(0), help="Replace a dirty worker after so many calls; 0: never."
    )
    max_requests_jitter: int = setting(
        0, kind=integer(0), help="The most that is added to dirty_max_requests."
    )
    max_rss: int = setting(
        0, kind=size(), help="Replace a dirty worker whose resident memory exceeds this; 0: never."
    )
    rlimit_as: int = setting(
        0, kind=size(), help="The address space of a dirty worker, in octets (RLIMIT_AS); 0: as the server's."
    )
    rlimit_nofile: int = setting(
        0, kind=integer(0), help="The descriptors of a dirty worker (RLIMIT_NOFILE); 0: as the server's."
    )
    bind: str = setting(
        "", kind=text, help="A socket file for callers that the server did not start: unix:PATH."
    )
    bind_users: tuple[str, ...] = setting(
        (),
        kind=texts,
        help="Users, by name or number, who may call at dirty_bind besides the server's own and root.",
    )
    bind_calls: int = setting(
        32, kind=integer(1), help="How many calls of one connection to dirty_bind may wait or run at a time."
    )
    resource: tuple[str, ...] = setting(
        (), kind=texts, help="Tokens that apps may ask for: gpu=0,1,2,3, or gpu=0*4 for four shares of one."
    )
    stash_limit: int = setting(64 << 20, kind=size(), help="The most that the stash holds, in octets.")
    stream_stall_timeout: float = setting(
        30.0, kind=seconds(), help="How long a stream waits for a reader that takes nothing; 0: for ever."
    )
    health_interval: float = setting(
        30.0, kind=seconds(), help="How often an idle worker's health() is asked; 0: never."
    )
    slow_call: float = setting(0.0, kind=seconds(), help="Log calls that take longer than this; 0: none.")
    metrics_interval: float = setting(
        10.0,
        kind=seconds(),
        help="How often the pool's figures go to a logger that sends some (statsd); 0: never.",
    )
    on_starting: Callable[..., Any] | None = setting(
        None,
        kind=hook(1),
        cli=False,
        aliases=("on_dirty_starting",),
        help="(arbiter) before the pool starts.",
    )
    post_fork: Callable[..., Any] | None = setting(
        None,
        kind=hook(2),
        cli=False,
        help="(arbiter, worker) in the arbiter, before the worker imports anything.",
    )
    worker_init: Callable[..., Any] | None = setting(
        None, kind=hook(1), cli=False, help="(worker) in the worker, after every app's init."
    )
    worker_exit: Callable[..., Any] | None = setting(
        None, kind=hook(2), cli=False, help="(arbiter, worker) in the arbiter, after the worker has ended."
    )

    @property
    def stop_within(self) -> float:
        """Seconds that the main arbiter gives the dirty one to end: what its workers get, and its own."""
        return self.graceful_timeout + 2.0

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """`cfg.dirty_workers`, as hooks that were written for gunicorn say it."""
            short = name.removeprefix("dirty_")
            if short == name:
                raise AttributeError(f"the pool has no setting {name!r}")
            return getattr(self, short)
