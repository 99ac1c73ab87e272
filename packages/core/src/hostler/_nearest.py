"""The nearest known name to one that is not known, for the error that says so."""

from __future__ import annotations

from collections.abc import Iterable


def distance(one: str, other: str) -> int:
    """How many slips (a letter more, less, other, or two swapped) lie between two names."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            slips = min(last[j] + 1, row[-1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                slips = min(slips, before[j - 2] + 1)
            row.append(slips)
        before, last = last, row
    return last[-1]


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is a slip or two away, or `""`.

    Strict on purpose: a Python configuration file may hold names of its own (`timeout_str`, `host`), which
    are no slips of `timeout` or of anything.
    """
    allowed = 1 if len(name) < 6 else 2
    found, best = "", allowed + 1
    for candidate in known:
        if abs(len(candidate) - len(name)) >= best or candidate == name:
            continue
        slips = distance(name, candidate)
        if slips < best and slips < len(candidate) - 1:
            found, best = candidate, slips
    return found
