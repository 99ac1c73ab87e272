"""What a plugin is: one light, frozen value per thing, found through an entry point.

A value names its code by dotted path (`package.module:attribute`), which is imported only when the plugin
is chosen, in the child that runs it. Importing the module that holds a value must stay light.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

API = (1, 0)
"""The plugin API that this core offers: (major, minor). A plugin states the lowest it needs."""


@dataclass(frozen=True, slots=True)
class WorkerType:
    """A kind of worker, group `hostler.workers`. The entry point's name is what `--worker-class` takes."""

    name: str
    serve: str
    """`module:function`; called as `serve(ctx, settings)` in the child, returns when the worker is to end."""
    summary: str = ""
    api: tuple[int, int] = (1, 0)
    interface: str = "wsgi"
    """Which applications it calls: `wsgi` or `asgi`."""
    settings: type | None = None
    """A frozen dataclass of `setting` fields."""
    prefix: str = ""
    """The prefix of its settings' names; empty: the plugin's name."""
    prepare: str = ""
    """`module:function`, called as `prepare(settings)` first thing in the child (monkey-patching)."""
    multiplexes: bool = False
    """It can serve protocols that carry several requests at once."""
    tunnels: bool = False
    """It can carry upgraded connections (WebSocket)."""
    threaded: bool = False
    """`wsgi.multithread`: requests of one worker may run at the same time."""


@dataclass(frozen=True, slots=True)
class ProtocolType:
    """A protocol, group `hostler.protocols`."""

    name: str
    open: str
    """`module:function`; called as `open(opening) -> Connection` for each connection."""
    summary: str = ""
    api: tuple[int, int] = (1, 0)
    ids: tuple[str, ...] = ()
    """What `http_protocols` calls it (`h1`, `h2`); empty for a protocol that is chosen by scheme only."""
    alpn: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ("http", "https")
    """The bind schemes that it serves; a scheme that no other protocol has makes it the listener's only one."""
    preface: bytes = b""
    """Opening bytes that tell it on a connection without ALPN (HTTP/2 by prior knowledge)."""
    cleartext: str = ""
    """The name of the setting of its own that must be true before `preface` is looked for."""
    settings: type | None = None
    prefix: str = ""
    multiplexing: bool = False
    """Only for workers that say `multiplexes`."""
    prompt: bool = False
    """Its peers, proxies, send as soon as they are connected: the system may keep a connection until they have."""


@dataclass(frozen=True, slots=True)
class ServiceType:
    """A supervised process that serves no HTTP, group `hostler.services`."""

    name: str
    serve: str
    """`module:function`; called as `serve(ctx, settings)` in the service's process."""
    summary: str = ""
    api: tuple[int, int] = (1, 0)
    settings: type | None = None
    prefix: str = ""
    wanted: Callable[[Any], bool] = lambda settings: True
    """Own settings -> whether the service is to run."""
    supervised: Callable[[Any], bool] = lambda settings: True
    """Own settings -> whether it has a process; without one `serve` is never called, everything else is."""
    validate: str = ""
    """`module:function(settings)`: raise `ConfigError` for values that do not go together; run before any fork."""
    bind: str = ""
    """`module:function(settings, setup) -> Bound`: in the arbiter, once, before any fork: make the descriptors."""
    join: str = ""
    """`module:function(settings, bound)`: in each HTTP worker after its fork, before the application loads."""
    attend: str = ""
    """`module:function(ctx)`: in each HTTP worker once its context stands, before the application loads. A client
    of the service may keep `ctx.beat`, and call it while it waits in the worker's main thread."""
    offer: str = ""
    """`module:function(ctx) -> {key: make}`: in each HTTP worker after `attend`. Each request finds what
    `make(view)` (of a `RequestView`) returns under the key in its `environ`, or in its scope's `extensions`."""
    control: str = ""
    """`module:function(settings, bound, words)`: answers `server ctl NAME WORDS…`, run in the ctl command.

    A mapping is printed as lines and tables, or as JSON; its item `ok`, when it is False, makes the exit code 1, and
    `error` beside it alone is one line on standard error. An item `text`, or an answer that is text, is printed as it
    is."""
    stop_timeout: str = ""
    """The name of the setting of its own that bounds its stop, in seconds; empty: `graceful_timeout`."""


@dataclass(frozen=True, slots=True)
class LoggerType:
    """A logger, group `hostler.loggers`: `open` is `module:function(settings, own) -> Logger`."""

    name: str
    open: str
    summary: str = ""
    api: tuple[int, int] = (1, 0)
    settings: type | None = None
    prefix: str = ""
    wanted: Callable[[Any], bool] = lambda settings: False
    """Own settings -> whether it is chosen without being named in `logger_class`."""


@dataclass(frozen=True, slots=True)
class ReloaderType:
    """A watcher of source files, group `hostler.reloaders`.

    `open` is `module:function(extra_files, changed) -> Reloader`; `changed(path)` is called from its thread.
    """

    name: str
    open: str
    summary: str = ""
    api: tuple[int, int] = (1, 0)
    settings: type | None = None
    prefix: str = ""


Plugin = WorkerType | ProtocolType | ServiceType | LoggerType | ReloaderType
