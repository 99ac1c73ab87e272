"""What an application gave `start_response`, checked and turned into bytes, and kept for the next time.

Most applications answer with few different heads; checking and encoding one costs more than the rest of a
small request, so a bounded table remembers those that were seen.
"""

from __future__ import annotations

import re
from typing import Any

from hostler.http import ResponseError

KEPT = 256
"""Heads remembered; beyond, the table starts anew (an application with ever new heads gains nothing from it)."""

_STATUS = re.compile(r"([1-9][0-9]{2}) ([^\r\n\0]*)\Z")


class Prepared:
    """One checked response head."""

    __slots__ = ("bodiless", "headers", "length", "reason", "status")

    def __init__(
        self, status: int, reason: bytes, headers: tuple[tuple[bytes, bytes], ...], length: int | None
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.length = length
        """What its Content-Length says, None without one."""
        self.bodiless = status in (204, 304)


class PreparedHeads:
    """The table of one worker."""

    __slots__ = ("_table",)

    def __init__(self) -> None:
        self._table: dict[tuple[str, tuple[tuple[str, str], ...]], Prepared] = {}

    def get(self, status: str, headers: list[tuple[str, str]]) -> Prepared:
        """The prepared head. Raises `ResponseError` for what PEP 3333 forbids."""
        try:
            key = (status, tuple(headers))
            found = self._table.get(key)
        except TypeError:  # a list where a tuple belongs: `prepare` says what is wrong
            return prepare(status, headers)
        if found is None:
            found = prepare(status, headers)
            if len(self._table) >= KEPT:
                self._table.clear()
            self._table[key] = found
        return found


def prepare(status: Any, headers: Any) -> Prepared:
    """Check and encode. Raises `ResponseError` naming what is wrong (PEP 3333, `start_response`)."""
    if type(status) is not str:
        raise ResponseError(f"the status must be a str such as '200 OK', not {type(status).__name__}")
    match = _STATUS.match(status)
    if match is None:
        raise ResponseError(
            f"the status {status!r} is not three digits, one space and a reason without line ends"
        )
    code = int(match[1])
    if code < 200:
        raise ResponseError(f"the status {status!r} is interim; use environ['wsgi.early_hints'] for 103")
    length: int | None = None
    encoded: list[tuple[bytes, bytes]] = []
    for field in headers:
        name, value = _pair(field)
        lowered = name.lower()
        if lowered == "content-length":
            if not (value.isascii() and value.isdigit()) or length is not None:
                raise ResponseError(f"Content-Length {value!r} is no number, or stands twice")
            length = int(value)
        try:
            encoded.append((name.encode("latin-1"), value.encode("latin-1")))
        except UnicodeEncodeError:
            raise ResponseError(f"the field {name!r} has characters beyond Latin-1: {value!r}") from None
    return Prepared(code, match[2].encode("latin-1", "replace"), tuple(encoded), length)


def _pair(field: Any) -> tuple[str, str]:
    if not isinstance(field, tuple) or len(field) != 2:
        raise ResponseError(f"a response field must be a (name, value) tuple, not {field!r}")
    name, value = field
    if type(name) is not str or type(value) is not str:
        raise ResponseError(f"a response field's name and value must be str: {field!r}")
    return name, value
