"""Lines that are looked at while their section is still coming, each octet once.

Gives the verdicts that reading the whole section would give, at the first octet that allows them.
"""

from __future__ import annotations

import sys

from hostler.http import ProtocolError
from hostler.http1._lines import LineParser, bad


class LineScan:
    """Looks at lines while their section is incomplete, each octet once. Raises what `read` would raise.

    `first`: the section begins with a request line. `folding`: lines cannot be parsed one by one.
    """

    __slots__ = ("_count", "_first", "_folding", "_limit", "_lines", "_searched", "_start", "_total")

    def __init__(self, lines: LineParser, total: int, fields: int, *, first: bool, folding: bool) -> None:
        self._lines = lines
        self._total = total
        self._limit = fields or sys.maxsize
        self._first = first
        self._folding = folding
        self._count = 0
        self._start = 0
        self._searched = 0

    def look(self, buffer: bytearray) -> None:
        """Check what has been added to the buffer since the last call."""
        while True:
            end = buffer.find(b"\n", self._searched)
            if end < 0 or end >= self._total:
                self._partial(buffer)
                return
            line = bytes(buffer[self._start : end])
            if line[-1:] != b"\r":
                self._lines.check_line(line + b"\n", self._first)
            self._complete(line[:-1])
            self._start = self._searched = end + 1

    def _complete(self, line: bytes) -> None:
        if self._first:
            self._lines.request_line(line)
            self._first = False
            return
        if self._folding:
            self._lines.check_line(line, False)
            return
        self._count += 1
        if self._count > self._limit:
            self._lines.check_line(line, False)
            raise ProtocolError(431, "too_many_fields", f"more than {self._limit} fields")
        self._lines.field(line)

    def _partial(self, buffer: bytearray) -> None:
        start, end = self._start, min(len(buffer), self._total + 1)
        if buffer[end - 1 : end] == b"\r":
            end -= 1  # the next octet tells whether this CR is bare
        limit = self._lines.line_limit if self._first else self._lines.field_limit
        bare = buffer.find(b"\r", self._searched, end)
        if bare >= 0 and bare - start <= limit:
            raise bad("a line that does not end in CRLF")
        if end - start > limit:
            self._lines.check_line(bytes(buffer[start:end]), self._first)
        if len(buffer) > self._total:
            raise ProtocolError(
                431, "headers_too_large", f"a header section of more than {self._total} octets"
            )
        self._searched = max(start, end)
