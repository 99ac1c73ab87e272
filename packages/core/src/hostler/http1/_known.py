"""Heads that came before, by their exact bytes."""

from __future__ import annotations

from itertools import islice
from typing import TypeVar

from hostler.http1._render import Entry

_Kept = TypeVar("_Kept")


def keep(kept: dict[bytes, _Kept], key: bytes, value: _Kept, limit: int) -> None:
    """Remember; when there is no more room, forget the older half."""
    if len(kept) >= limit:
        for old in list(islice(kept, limit // 2)):
            del kept[old]
    kept[key] = value


class Known(dict[bytes, Entry]):
    """Exact bytes of a head -> the head and the outline of its answers.

    What has another length than all of them is none of them: who asks first spares the hash of a whole body.
    """

    __slots__ = ("sizes",)

    def __init__(self) -> None:
        super().__init__()
        self.sizes: set[int] = set()
        """The lengths that there are."""

    def keep(self, block: bytes, entry: Entry, limit: int) -> None:
        """Remember; when there is no more room, forget the older half."""
        full = len(self) >= limit
        keep(self, block, entry, limit)
        if full:
            self.sizes.clear()
            self.sizes.update(map(len, self))
        else:
            self.sizes.add(len(block))
