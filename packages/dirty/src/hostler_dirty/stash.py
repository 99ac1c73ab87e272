"""State that all processes of the server share: `stash.put("sessions", key, value)`. Not durable.

The values live in the arbiter as octets; they survive workers, not the arbiter. Module functions are
gunicorn's, with `incr`, `cas`, `setdefault`, `touch`, `get_many`, `put_many` and a time to live besides.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from hostler_dirty import _codec, _line, _wire
from hostler_dirty._lines import PILE, Gone
from hostler_dirty._place import HERE
from hostler_dirty.errors import (
    DirtyConnectionError,
    DirtySerializationError,
    StashError,
    StashFullError,
    StashKeyNotFoundError,
    StashTableNotFoundError,
    restore,
)

__all__ = [
    "StashClient", "StashError", "StashFullError", "StashKeyNotFoundError", "StashTable",
    "StashTableNotFoundError", "cas", "clear", "delete", "delete_table", "ensure", "exists", "get", "get_many",
    "incr", "info", "keys", "put", "put_many", "setdefault", "table", "tables", "touch", "version",
]  # fmt: skip

_PATIENCE = 30.0
_MISSING = object()


def _ask(*operation: Any) -> Any:
    executor = HERE.executor
    said = _ask_arbiter(_line.encode(operation)) if executor is None else executor.stash(*operation)
    if "error" in said:
        raise restore(said["error"])
    return said["value"]


def _ask_arbiter(body: bytes) -> Any:
    deadline = time.monotonic_ns() + int(_PATIENCE * 1e9)
    while True:
        line = PILE.take("", deadline)
        try:
            return line.ask(_wire.STASH, body, deadline)
        except Gone:
            continue
        except TimeoutError:
            line.close()
            raise DirtyConnectionError("The dirty arbiter does not answer") from None
        except BaseException:
            line.close()
            raise
        finally:
            PILE.put(line)


def _pack(value: Any) -> bytes:
    body, buffers = _codec.encode(value)
    if not buffers:
        return b"\0" + body
    return b"\1" + _line.encode((body, [bytes(buffer) for buffer in buffers]))


def _unpack(data: Any) -> Any:
    if isinstance(data, int):
        return data
    if data[:1] == b"\0":
        return _codec.decode(data[1:])
    body, buffers = _line.decode(data[1:])
    return _codec.decode(body, buffers)


def _key(key: Any) -> str:
    if not isinstance(key, (str, int)):
        raise DirtySerializationError("a stash key is a text", repr(key))
    return str(key)


def put(table: str, key: str, value: Any, ttl: float = 0.0) -> None:
    """Store; `ttl` seconds, 0: for ever. Raises StashFullError."""
    _ask("put", table, _key(key), _pack(value), ttl)


def get(table: str, key: str, default: Any = None) -> Any:
    """The value, or the default."""
    try:
        return _unpack(_ask("get", table, _key(key))[0])
    except (StashKeyNotFoundError, StashTableNotFoundError):
        return default


def version(table: str, key: str) -> tuple[Any, int]:
    """The value and its version for `cas`; (None, 0) when there is none."""
    try:
        value, number = _ask("get", table, _key(key))
    except (StashKeyNotFoundError, StashTableNotFoundError):
        return None, 0
    return _unpack(value), number


def cas(table: str, key: str, expected: int, value: Any, ttl: float = 0.0) -> int:
    """Store if the entry still has the expected version; its new version, or 0 if it has not."""
    return int(_ask("cas", table, _key(key), expected, _pack(value), ttl))


def incr(table: str, key: str, by: int = 1, ttl: float = 0.0) -> int:
    """Count, atomically; the new count."""
    return int(_ask("incr", table, _key(key), by, ttl))


def setdefault(table: str, key: str, value: Any, ttl: float = 0.0) -> Any:
    """The value that is there already, or this one."""
    return _unpack(_ask("setdefault", table, _key(key), _pack(value), ttl))


def touch(table: str, key: str, ttl: float) -> None:
    """A new time to live; 0: for ever. Raises StashKeyNotFoundError."""
    _ask("touch", table, _key(key), ttl)


def get_many(table: str, keys: Iterable[str]) -> dict[str, Any]:
    """The values that are there."""
    return {k: _unpack(v) for k, v in _ask("get_many", table, [_key(k) for k in keys]).items()}


def put_many(table: str, values: dict[str, Any], ttl: float = 0.0) -> None:
    """Store several."""
    _ask("put_many", table, {_key(k): _pack(v) for k, v in values.items()}, ttl)


def delete(table: str, key: str) -> bool:
    """Whether there was one."""
    return bool(_ask("delete", table, _key(key)))


def keys(table: str, pattern: str | None = None) -> list[str]:
    """The keys, of a shell pattern if one is given. Raises StashTableNotFoundError."""
    return list(_ask("keys", table, pattern))


def clear(table: str) -> None:
    """Delete every entry."""
    _ask("clear", table)


def info(table: str) -> dict[str, Any]:
    """`size`, `octets`, `age`. Raises StashTableNotFoundError."""
    return dict(_ask("info", table))


def ensure(table: str) -> None:
    """Make the table if it is not there."""
    _ask("ensure", table)


def exists(table: str, key: str | None = None) -> bool:
    """Whether the table, or the key in it, is there."""
    return bool(_ask("exists", table, None if key is None else _key(key)))


def delete_table(table: str) -> bool:
    """Whether there was one."""
    return bool(_ask("delete_table", table))


def tables() -> list[str]:
    """The names of all tables."""
    return list(_ask("tables"))


class StashTable:
    """A table as a mapping."""

    def __init__(self, client: Any, name: str) -> None:
        self.name = name
        del client  # gunicorn's signature; connections belong to the process

    def __getitem__(self, key: str) -> Any:
        return _unpack(_ask("get", self.name, _key(key))[0])

    def __setitem__(self, key: str, value: Any) -> None:
        put(self.name, key, value)

    def __delitem__(self, key: str) -> None:
        if not delete(self.name, key):
            raise StashKeyNotFoundError(self.name, key)

    def __contains__(self, key: object) -> bool:
        return exists(self.name, str(key))

    def __iter__(self) -> Iterator[str]:
        return iter(keys(self.name) if exists(self.name) else [])

    def __len__(self) -> int:
        return int(info(self.name)["size"]) if exists(self.name) else 0

    def get(self, key: str, default: Any = None) -> Any:
        return get(self.name, key, default)

    def keys(self, pattern: str | None = None) -> list[str]:
        return keys(self.name, pattern) if exists(self.name) else []

    def values(self) -> list[Any]:
        return list(get_many(self.name, self).values())

    def items(self) -> list[tuple[str, Any]]:
        return list(get_many(self.name, self).items())

    def clear(self) -> None:
        clear(self.name)


def table(name: str) -> StashTable:
    """A table as a mapping; it is made if it is not there."""
    ensure(name)
    return StashTable(None, name)


class StashClient:
    """The module's functions as methods, for gunicorn's sake; connections belong to the process."""

    def __init__(self, socket_path: str | None = None, timeout: float = 30.0) -> None:
        del socket_path, timeout

    def close(self) -> None:
        """For gunicorn's sake."""

    def __enter__(self) -> StashClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    put = staticmethod(put)
    get = staticmethod(get)
    delete = staticmethod(delete)
    keys = staticmethod(keys)
    clear = staticmethod(clear)
    info = staticmethod(info)
    ensure = staticmethod(ensure)
    exists = staticmethod(exists)
    delete_table = staticmethod(delete_table)
    tables = staticmethod(tables)
    table = staticmethod(table)
