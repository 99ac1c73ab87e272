"""What came not long ago: only that is worth keeping, so what never repeats costs no memory."""

from __future__ import annotations

from typing import Final

_PLACES: Final = 1024


class Recent:
    """Tells what comes again by its hash. Each hash has one place, where the next one of that place follows it."""

    __slots__ = ("_hashes",)

    def __init__(self) -> None:
        self._hashes: list[int | None] = [None] * _PLACES

    def again(self, octets: bytes) -> bool:
        """These octets came before; from now on they did."""
        key = hash(octets)
        if self._hashes[key % _PLACES] == key:
            return True
        self._hashes[key % _PLACES] = key
        return False
