"""Whether calls would find a worker now, for health routes of applications. Nothing is called in any worker for it."""

from __future__ import annotations

import time
from typing import Any

from hostler_dirty import _line, _wire
from hostler_dirty._hub import HUBS
from hostler_dirty._lines import PILE, Gone
from hostler_dirty._place import HERE
from hostler_dirty.errors import DirtyAppNotFoundError, DirtyConnectionError

PATIENCE = 10.0
"""Seconds for the arbiter to answer; one that does not, or that is being replaced, grants nothing either."""


def ready(app: str | None) -> bool:
    """Of an app, or of all. Raises DirtyAppNotFoundError. An executor that is no pool is always ready."""
    if HERE.executor is not None:
        return True
    deadline = time.monotonic_ns() + int(PATIENCE * 1e9)
    line = None
    try:
        line = PILE.take("", deadline)
        return _judged(line.ask(_wire.MANAGE, _question(app), deadline), app)
    except (Gone, TimeoutError, DirtyConnectionError):
        if line is not None:
            line.close()
        return False
    finally:
        if line is not None:
            PILE.put(line)


async def ready_async(app: str | None) -> bool:
    """As `ready`."""
    if HERE.executor is not None:
        return True
    deadline = time.monotonic_ns() + int(PATIENCE * 1e9)
    try:
        hub = await HUBS.get(deadline)
        return _judged(await hub.ask(_wire.MANAGE, _question(app), deadline), app)
    except (Gone, TimeoutError, DirtyConnectionError):
        return False


def _question(app: str | None) -> bytes:
    return _line.encode(["ready"] if app is None else ["ready", app])


def _judged(said: dict[str, Any], app: str | None) -> bool:
    if "error" in said and app is not None:
        raise DirtyAppNotFoundError(app)
    return bool(said["ok"])
