"""Dirty arbiters for hostler: a pool of stateful workers for heavy work.

    from hostler_dirty import DirtyApp, get_dirty_client

This module stays light: what it offers is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hostler.plugin import ServiceType

from hostler_dirty.__about__ import __version__
from hostler_dirty._settings import DirtySettings

if TYPE_CHECKING:
    from hostler_dirty import errors, stash
    from hostler_dirty._request import get_request_client
    from hostler_dirty.app import Call, DirtyApp, DirtyCancelled, DirtyDeadlineExceeded, action, current_call
    from hostler_dirty.client import (
        DirtyClient,
        close_dirty_client,
        close_dirty_client_async,
        connect,
        get_dirty_client,
        get_dirty_client_async,
    )
    from hostler_dirty.errors import (
        DirtyAppError,
        DirtyAppNotFoundError,
        DirtyCancelledError,
        DirtyClientGoneError,
        DirtyConfigError,
        DirtyConnectionError,
        DirtyError,
        DirtyNoWorkersAvailableError,
        DirtyPayloadTooLargeError,
        DirtyProtocolError,
        DirtyQueueFullError,
        DirtySerializationError,
        DirtyStreamStalledError,
        DirtyTimeoutError,
        DirtyUsageError,
        DirtyWorkerError,
    )
    from hostler_dirty.stash import (
        StashClient,
        StashError,
        StashKeyNotFoundError,
        StashTable,
        StashTableNotFoundError,
    )
    from hostler_dirty.typed import dirty

_FROM = {
    "_request": ("get_request_client",),
    "app": ("Call", "DirtyApp", "DirtyCancelled", "DirtyDeadlineExceeded", "action", "current_call"),
    "client": (
        "DirtyClient", "close_dirty_client", "close_dirty_client_async", "connect", "get_dirty_client",
        "get_dirty_client_async",
    ),
    "errors": (
        "DirtyAppError", "DirtyAppNotFoundError", "DirtyCancelledError", "DirtyClientGoneError",
        "DirtyConfigError", "DirtyConnectionError", "DirtyError", "DirtyNoWorkersAvailableError",
        "DirtyPayloadTooLargeError", "DirtyProtocolError", "DirtyQueueFullError", "DirtySerializationError",
        "DirtyStreamStalledError", "DirtyTimeoutError", "DirtyUsageError", "DirtyWorkerError",
    ),
    "stash": ("StashClient", "StashError", "StashKeyNotFoundError", "StashTable", "StashTableNotFoundError"),
    "typed": ("dirty",),
}  # fmt: skip
_HOME = {name: module for module, names in _FROM.items() for name in names}

__all__ = [
    "Call",
    "DirtyApp",
    "DirtyAppError",
    "DirtyAppNotFoundError",
    "DirtyCancelled",
    "DirtyCancelledError",
    "DirtyClient",
    "DirtyClientGoneError",
    "DirtyConfigError",
    "DirtyConnectionError",
    "DirtyDeadlineExceeded",
    "DirtyError",
    "DirtyNoWorkersAvailableError",
    "DirtyPayloadTooLargeError",
    "DirtyProtocolError",
    "DirtyQueueFullError",
    "DirtySerializationError",
    "DirtyStreamStalledError",
    "DirtyTimeoutError",
    "DirtyUsageError",
    "DirtyWorkerError",
    "StashClient",
    "StashError",
    "StashKeyNotFoundError",
    "StashTable",
    "StashTableNotFoundError",
    "__version__",
    "action",
    "close_dirty_client",
    "close_dirty_client_async",
    "connect",
    "current_call",
    "dirty",
    "errors",
    "get_dirty_client",
    "get_dirty_client_async",
    "get_request_client",
    "service",
    "stash",
]


def _supervised(settings: DirtySettings) -> bool:
    return bool(importlib.import_module("hostler_dirty._chosen").supervised(settings))


service = ServiceType(
    name="dirty",
    serve="hostler_dirty._chosen:serve",
    summary="a pool of stateful workers for heavy work (dirty arbiters)",
    settings=DirtySettings,
    wanted=lambda settings: bool(settings.apps) and settings.workers > 0,
    supervised=_supervised,
    validate="hostler_dirty._chosen:validate",
    bind="hostler_dirty._chosen:bind",
    join="hostler_dirty._chosen:join",
    attend="hostler_dirty._join:attend",
    offer="hostler_dirty._request:offer",
    control="hostler_dirty._chosen:control",
    stop_timeout="stop_within",
)


def __getattr__(name: str) -> Any:
    if name in ("errors", "stash"):
        return importlib.import_module(f"hostler_dirty.{name}")
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"hostler_dirty.{home}"), name)
