"""Heads beyond doubt, split in C (llhttp, by way of httptools).

Takes only what every reader reads alike and leaves the rest, good or bad, to the reader that gives verdicts:
what is taken here has the same fields there. Knows no reasons and no status.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from hostler.http import Limits
from hostler.http._fields import DROP, KEEP, NOTE, FieldPolicy, Fields

_LAYOUTS_KEPT: Final = 256
_LINES: Final = 128


class _Lines(dict[bytes, bytes]):
    """Names as the client spelled them -> values. A name that comes again is lost, which the count tells."""

    __slots__ = ()
    on_header = dict.setdefault


class _Layout:
    """What becomes of fields that come under these names, in this order; clients seldom change either."""

    __slots__ = ("dropped", "names", "noted")

    def __init__(self, names: list[bytes], rules: list[int]) -> None:
        self.names = names
        self.dropped = frozenset(name for name, rule in zip(names, rules, strict=True) if rule == DROP)
        self.noted = [(names[place], place) for place, rule in enumerate(rules) if rule == NOTE]


class PlainHeads:
    """Splits the heads of one listener whose settings permit nothing unusual in field lines."""

    __slots__ = ("_layouts", "_longest", "_most", "_policy")

    def __init__(self, limits: Limits, policy: FieldPolicy) -> None:
        self._most = min(limits.fields or _LINES, _LINES)
        self._longest = limits.field or sys.maxsize
        self._policy = policy
        self._layouts: dict[tuple[bytes, ...], _Layout] = {}

    def read(self, block: bytes, section: bytes) -> Fields | None:
        """The fields of bytes that begin with a good request line; None when they take a closer look.

        `section` is what follows that line and ends in an empty one. It is taken when it is one whole head's:
        every LF in it ends the request line, a line that llhttp has told, or the empty line.
        Raises `ProtocolError` for what the policy does not believe.
        """
        lines = _Lines()
        try:
            HttpRequestParser(lines).feed_data(block)
        except (HttpParserError, HttpParserUpgrade):
            return None
        if section.count(b"\n") != len(lines) + 2:
            return None
        if len(section) > self._longest and max(map(len, section.split(b"\r\n"))) > self._longest:
            return None
        spelled = tuple(lines)
        layout = self._layouts.get(spelled) or self._learn(spelled)
        if layout is None:
            return None
        values: Iterable[bytes] = lines.values()
        if b" \r\n" in section or b"\t\r\n" in section:
            values = map(bytes.strip, values)  # llhttp leaves blanks behind a value
        headers = tuple(zip(layout.names, values))  # noqa: B905
        noted = {name: headers[place][1] for name, place in layout.noted}
        if layout.dropped:
            headers = tuple([field for field in headers if field[0] not in layout.dropped])
        return self._policy.conclude(headers, noted)

    def _learn(self, spelled: tuple[bytes, ...]) -> _Layout | None:
        """Remember these names; None when one of them is not simply shown or dropped, or noted twice."""
        names = [name.lower() for name in spelled]
        if len(names) > self._most:
            return None
        rules = [self._policy.rule(name) for name in names]
        layout = _Layout(names, rules)
        if not {KEEP, DROP, NOTE}.issuperset(rules) or len(dict(layout.noted)) < len(layout.noted):
            return None
        if sum(map(len, names)) <= 4096:
            if len(self._layouts) >= _LAYOUTS_KEPT:
                self._layouts.clear()
            self._layouts[spelled] = layout
        return layout
