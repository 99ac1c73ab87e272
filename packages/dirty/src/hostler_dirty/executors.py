"""Executors: what runs the apps. The public face for those who choose one, and for those who write one.

An executor is a light value in the entry-point group `hostler.dirty_executors`; the setting `dirty_executor` names
it. `local` is the pool of this package, `inline` runs apps in the HTTP worker itself; both come in by the same door
as a stranger's. A value names its code by dotted path, which is imported when the executor is chosen.

What an executor has to do is `Backend`, in each caller's process. `hostler_dirty.conformance` is the suite that it
has to pass. Where the apps run, `Host` calls them as the pool's workers do.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hostler.errors import PluginError
from hostler.plugin import find_extension

from hostler_dirty.errors import DirtyConfigError

if TYPE_CHECKING:
    from hostler_dirty._calling import Options, Plan
    from hostler_dirty._chunks import Chunks
    from hostler_dirty._host import Host, late, plain, plan_call
    from hostler_dirty._parcel import Packed, Parcel, pack, unpack
    from hostler_dirty._stash_local import LocalStash

_FROM = {
    "_calling": ("Options", "Plan"),
    "_chunks": ("Chunks",),
    "_host": ("Host", "late", "plain", "plan_call"),
    "_parcel": ("Parcel", "Packed", "pack", "unpack"),
    "_stash_local": ("LocalStash",),
}
_HOME = {name: module for module, names in _FROM.items() for name in names}

__all__ = [
    "GROUP",
    "INLINE",
    "LOCAL",
    "Backend",
    "Chunks",
    "ExecutorType",
    "Host",
    "LocalStash",
    "Options",
    "Packed",
    "Parcel",
    "Plan",
    "Stream",
    "find",
    "late",
    "pack",
    "plain",
    "plan_call",
    "unpack",
]  # fmt: skip

GROUP = "hostler.dirty_executors"


@dataclass(frozen=True, slots=True)
class ExecutorType:
    """An executor. `settings` is what the pool's settings are, frozen; the functions raise DirtyConfigError for what
    cannot work. What is named by `module:function` may be left empty, but for `connect`."""

    name: str
    connect: str
    """`module:function(settings, bound) -> Backend`: in each HTTP worker after its fork, before the application loads.
    The backend is closed when the worker ends."""
    summary: str = ""
    api: tuple[int, int] = (1, 0)
    validate: str = ""
    """`module:function(settings)`: before any fork; it must import no app."""
    bind: str = ""
    """`module:function(settings, setup) -> Bound`: in the server's arbiter, once: descriptors and values."""
    serve: str = ""
    """`module:function(ctx, settings)`: a process that the server supervises; empty: there is none."""
    control: str = ""
    """`module:function(settings, bound, words) -> dict`: `server ctl dirty WORDS…` (status, add, remove, reload, …)."""

    def load(self, what: str) -> Any:
        """The function that the field of this name names. Raises what its import raises."""
        module, _, attribute = str(getattr(self, what)).partition(":")
        return getattr(importlib.import_module(module), attribute)


class Stream(Protocol):
    """A stream's reader, for plain and for asynchronous callers. Leaving early closes the action's generator."""

    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...
    def __aiter__(self) -> AsyncIterator[Any]: ...
    async def __anext__(self) -> Any: ...
    def close(self) -> None: ...
    async def aclose(self) -> None: ...
    def __enter__(self) -> Any: ...
    def __exit__(self, *exc: object) -> None: ...
    async def __aenter__(self) -> Any: ...
    async def __aexit__(self, *exc: object) -> None: ...


class Backend(Protocol):
    """An executor as callers use it. One object per process, for all its threads, greenlets, tasks and event loops.

    Every method raises DirtyError's subclasses and what an app's `reraise` allows, nothing else.
    """

    def execute(self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options) -> Any:
        """A call, waited for. No call waits beyond its deadline."""

    async def execute_async(
        self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options
    ) -> Any:
        """A call, awaited; cancelling the task ends the wait at once and, as far as it can be, the action."""

    def stream(self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options) -> Stream:
        """The chunks of a call; a plain answer is one chunk. Nothing is sent before the first is asked for."""

    def stream_async(
        self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options
    ) -> Stream:
        """As `stream`, in an event loop, which must not be blocked."""

    def stash(self, *operation: Any) -> dict[str, Any]:
        """One operation of the stash: {"value": …}, or {"error": …} as `errors.describe` tells it."""

    def close(self) -> None:
        """The process ends: let go of what is held."""


LOCAL = ExecutorType(
    "local",
    connect="hostler_dirty._join:connect",
    summary="the pool: an arbiter and its workers on this machine",
    validate="hostler_dirty._service:validate",
    bind="hostler_dirty._service:bind",
    serve="hostler_dirty._service:serve",
    control="hostler_dirty._control:control",
)
INLINE = ExecutorType(
    "inline",
    connect="hostler_dirty._inline:connect",
    summary="apps in each HTTP worker itself, for development and tests",
)


@functools.cache
def find(name: str) -> ExecutorType:
    """The executor of this name: an installed one's, `DIST#NAME`, or `MODULE:ATTRIBUTE`.

    Raises DirtyConfigError, with one line that says what to install.
    """
    try:
        return find_extension(ExecutorType, GROUP, name, "dirty executor")
    except PluginError as error:
        raise DirtyConfigError(str(error)) from None


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"hostler_dirty.{home}"), name)
