"""The stash's tables: octets by key, with a time to live, under one limit. Pure: time is an argument.

Values are opaque here: they are encoded and decoded by the callers. Nothing survives the arbiter.
"""

from __future__ import annotations

import fnmatch
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hostler_dirty.errors import (
    DirtyProtocolError,
    StashError,
    StashFullError,
    StashKeyNotFoundError,
    StashTableNotFoundError,
)

_ENTRY_COST = 64


@dataclass(slots=True)
class _Entry:
    value: Any
    """Octets, or a whole number that `incr` counts."""
    expires: float = 0.0
    version: int = 0

    @property
    def octets(self) -> int:
        return _ENTRY_COST + (len(self.value) if isinstance(self.value, bytes) else 8)


@dataclass(slots=True)
class _Table:
    entries: OrderedDict[str, _Entry] = field(default_factory=OrderedDict)
    created: float = 0.0


class Store:
    """All tables. `run` answers one operation."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tables: dict[str, _Table] = {}
        self._version = 0
        self.octets = 0

    def run(self, operation: str, now: float, *args: Any) -> Any:
        """The operation's answer. Raises StashError, or DirtyProtocolError for an unknown one."""
        method = self._OPERATIONS.get(operation)
        if method is None:
            raise DirtyProtocolError(f"The stash has no operation {operation!r}")
        try:
            return method(self, now, *args)
        except TypeError as error:
            raise StashError(f"stash {operation}: {error}") from None

    # -- tables -----------------------------------------------------------------------------------------

    def ensure(self, now: float, table: str) -> None:
        self._tables.setdefault(table, _Table(created=now))

    def tables(self, now: float) -> list[str]:
        return sorted(self._tables)

    def delete_table(self, now: float, table: str) -> bool:
        found = self._tables.pop(table, None)
        if found is None:
            return False
        self.octets -= sum(entry.octets + len(key) for key, entry in found.entries.items())
        return True

    def clear(self, now: float, table: str) -> None:
        self.delete_table(now, table)
        self.ensure(now, table)

    def info(self, now: float, table: str) -> dict[str, Any]:
        found = self._table(table)
        self._sweep(found, now)
        octets = sum(entry.octets + len(key) for key, entry in found.entries.items())
        return {"name": table, "size": len(found.entries), "octets": octets, "age": now - found.created}

    # -- entries ----------------------------------------------------------------------------------------

    def put(self, now: float, table: str, key: str, value: Any, ttl: float = 0.0) -> int:
        """Store; the entry's new version."""
        self.ensure(now, table)
        found = self._tables[table]
        old = found.entries.get(key)
        self._version += 1
        entry = _Entry(value, now + ttl if ttl else 0.0, self._version)
        grown = self.octets + entry.octets + len(key) - (old.octets + len(key) if old else 0)
        if grown > self._limit:
            for other in self._tables.values():
                self._sweep(other, now)
            old = found.entries.get(key)
            grown = self.octets + entry.octets + len(key) - (old.octets + len(key) if old else 0)
        if grown > self._limit:
            raise StashFullError(f"The stash holds {self.octets} octets; dirty_stash_limit is {self._limit}")
        self.octets = grown
        found.entries[key] = entry
        return entry.version

    def get(self, now: float, table: str, key: str) -> list[Any]:
        """[value, version]. Raises StashKeyNotFoundError, StashTableNotFoundError."""
        entry = self._entry(now, table, key)
        return [entry.value, entry.version]

    def get_many(self, now: float, table: str, keys: list[str]) -> dict[str, Any]:
        found = self._tables.get(table, _Table())
        self._sweep(found, now)
        return {key: found.entries[key].value for key in keys if key in found.entries}

    def put_many(self, now: float, table: str, values: dict[str, Any], ttl: float = 0.0) -> None:
        for key, value in values.items():
            self.put(now, table, key, value, ttl)

    def delete(self, now: float, table: str, key: str) -> bool:
        found = self._tables.get(table)
        entry = found.entries.pop(key, None) if found else None
        if entry is None:
            return False
        self.octets -= entry.octets + len(key)
        return not entry.expires or entry.expires > now

    def keys(self, now: float, table: str, pattern: str | None = None) -> list[str]:
        found = self._table(table)
        self._sweep(found, now)
        return [key for key in found.entries if pattern is None or fnmatch.fnmatchcase(key, pattern)]

    def exists(self, now: float, table: str, key: str | None = None) -> bool:
        found = self._tables.get(table)
        if found is None or key is None:
            return found is not None
        self._sweep(found, now)
        return key in found.entries

    def incr(self, now: float, table: str, key: str, by: int = 1, ttl: float = 0.0) -> int:
        """Count; a new key counts from 0."""
        self.ensure(now, table)
        self._sweep(self._tables[table], now)
        entry = self._tables[table].entries.get(key)
        if entry is not None and not isinstance(entry.value, int):
            raise StashError(f"stash incr: {key!r} holds no counter")
        value = (entry.value if entry else 0) + by
        if entry is None:
            self.put(now, table, key, value, ttl)
        else:
            self._version += 1
            entry.value, entry.version = value, self._version
        return int(value)

    def cas(self, now: float, table: str, key: str, version: int, value: Any, ttl: float = 0.0) -> int:
        """Store if the entry still has this version (0: if there is none); the new version, or 0."""
        found = self._tables.get(table)
        if found is not None:
            self._sweep(found, now)
        entry = found.entries.get(key) if found else None
        if (entry.version if entry else 0) != version:
            return 0
        return self.put(now, table, key, value, ttl)

    def setdefault(self, now: float, table: str, key: str, value: Any, ttl: float = 0.0) -> Any:
        """The value that is there, or the new one."""
        if not self.exists(now, table, key):
            self.put(now, table, key, value, ttl)
        return self._tables[table].entries[key].value

    def touch(self, now: float, table: str, key: str, ttl: float) -> None:
        """Give the entry a new time to live; 0: for ever."""
        self._entry(now, table, key).expires = now + ttl if ttl else 0.0

    # -- inside -----------------------------------------------------------------------------------------

    def _table(self, table: str) -> _Table:
        if table not in self._tables:
            raise StashTableNotFoundError(table)
        return self._tables[table]

    def _entry(self, now: float, table: str, key: str) -> _Entry:
        found = self._table(table)
        self._sweep(found, now)
        if key not in found.entries:
            raise StashKeyNotFoundError(table, key)
        return found.entries[key]

    def _sweep(self, table: _Table, now: float) -> None:
        late = [key for key, entry in table.entries.items() if entry.expires and entry.expires <= now]
        for key in late:
            self.octets -= table.entries.pop(key).octets + len(key)

    _OPERATIONS: dict[str, Callable[..., Any]] = {  # noqa: RUF012  (never changed)
        "ensure": ensure,
        "tables": tables,
        "delete_table": delete_table,
        "clear": clear,
        "info": info,
        "put": put,
        "get": get,
        "get_many": get_many,
        "put_many": put_many,
        "delete": delete,
        "keys": keys,
        "exists": exists,
        "incr": incr,
        "cas": cas,
        "setdefault": setdefault,
        "touch": touch,
    }
