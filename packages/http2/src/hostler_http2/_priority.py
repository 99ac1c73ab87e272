"""Priorities of RFC 9218: the `priority` field and PRIORITY_UPDATE, and the order that they give responses.

The tree of RFC 7540 is read over elsewhere and has no place here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

DEFAULT = (3, False)
"""Urgency 3, not incremental (RFC 9218 section 4)."""
Priority = tuple[int, bool]

_URGENCY = re.compile(rb"u=([0-7])").fullmatch


def parse(value: bytes) -> Priority:
    """The `u` and `i` members of a priority field; what is not understood is ignored (section 4)."""
    urgency, incremental = DEFAULT
    for member in value.split(b","):
        item = member.partition(b";")[0].strip(b" \t")
        match = _URGENCY(item)
        if match is not None:
            urgency = int(match[1])
        elif item in (b"i", b"i=?1"):
            incremental = True
        elif item == b"i=?0":
            incremental = False
    return urgency, incremental


def of_fields(fields: Iterable[tuple[bytes, bytes]]) -> Priority:
    """The priority that a request asks for."""
    values = [value for name, value in fields if name == b"priority"]
    return parse(b",".join(values)) if values else DEFAULT


class Foretold:
    """Priorities of streams that are not open yet; few are kept, since a peer may name any number of them."""

    __slots__ = ("_kept",)

    KEPT = 32

    def __init__(self) -> None:
        self._kept: dict[int, Priority] = {}

    def tell(self, stream: int, priority: Priority) -> None:
        """Remember it; the oldest makes room."""
        if stream not in self._kept and len(self._kept) >= self.KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[stream] = priority

    def take(self, stream: int) -> Priority | None:
        """What was said of this stream."""
        return self._kept.pop(stream, None) if self._kept else None
