"""Where this process stands: the doorbell it was given, and the pool's defaults. One object per process.

`join` is called once per process, by the worker's start; clients and the stash ask here. An executor other
than the pool (the inline one in tests) puts itself here too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hostler_dirty.errors import DirtyConnectionError


class Place:
    """What a process knows of the pool it belongs to."""

    def __init__(self) -> None:
        self.doorbell = -1
        self.timeout = 300.0
        self.max_payload = 256 << 20
        self.address = ""
        """The socket file of the pool, in a process that its server did not start."""
        self.welcomed = False
        """Somebody answered there."""
        self.refused_since = 0.0
        self.executor: Any = None
        self.keep_alive: Callable[[], None] | None = None
        """Called about once a second by a caller that waits: a sync worker that waits is alive."""
        self.resets: list[Callable[[], None]] = []
        """Called in a forked child: what must not be shared with the parent."""

    def heard(self, greeting: dict[str, Any]) -> None:
        """The arbiter's first words to a caller from outside bring the pool's defaults."""
        if self.address:
            self.welcomed = True
            self.timeout, self.max_payload = greeting["timeout"], greeting["max_payload"]

    def require(self) -> int:
        """The doorbell. Raises DirtyConnectionError when this process belongs to no pool."""
        if self.doorbell < 0:
            raise DirtyConnectionError(
                "This process has no dirty pool: run it under the server with dirty_apps and dirty_workers set, "
                "call hostler_dirty.connect with the server's dirty_bind, or use hostler_dirty.testing.inline in a test"
            )
        return self.doorbell


HERE = Place()


def join(doorbell: int, timeout: float, max_payload: int) -> None:
    """This process may call the pool from now on."""
    HERE.doorbell, HERE.timeout, HERE.max_payload = doorbell, timeout, max_payload
    HERE.address = ""
    for reset in HERE.resets:
        reset()


def enter(executor: Any, timeout: float, max_payload: int) -> None:
    """This process's calls go to another executor from now on."""
    HERE.executor, HERE.timeout, HERE.max_payload = executor, timeout, max_payload


def _after_fork() -> None:
    for reset in HERE.resets:
        reset()


os.register_at_fork(after_in_child=_after_fork)
