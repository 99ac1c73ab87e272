"""A stash in this process, for executors that have none of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from hostler_dirty._stash_store import Store
from hostler_dirty.errors import DirtyError, describe


class LocalStash:
    """Tables that live as long as this object. May be used from any thread."""

    def __init__(self, limit: int, tables: Iterable[str] = ()) -> None:
        """`limit` in octets; `tables` exist from the start."""
        self._store = Store(limit)
        self._lock = threading.Lock()
        for table in tables:
            self._store.ensure(time.monotonic(), table)

    def run(self, *operation: Any) -> dict[str, Any]:
        """One operation, as `Backend.stash` answers it."""
        try:
            with self._lock:
                return {"value": self._store.run(operation[0], time.monotonic(), *operation[1:])}
        except DirtyError as error:
            return {"error": describe(error)}
