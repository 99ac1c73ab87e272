"""From the bytes of a head to a `Head`, with what identical heads need remembered.

A whole head is read at once. One that comes in pieces is looked at line by line as it arrives, with the
same checks in the same order, so that how it was split never changes the verdict and nothing waits for an
end that a limit forbids.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from hostler.http import Head, Limits, Policy, ProtocolError, Transport
from hostler.http._fields import FieldPolicy, Fields
from hostler.http._trust import TrustList
from hostler.http1._body import Body, ChunkedBody, LengthBody
from hostler.http1._framing import make_head
from hostler.http1._known import Known, keep
from hostler.http1._lines import LineParser, RequestLine, bad
from hostler.http1._plain import PlainHeads
from hostler.http1._recent import Recent
from hostler.http1._render import Entry
from hostler.http1._scan import LineScan

_FOLDS = (b" ", b"\t")


class HeadReader:
    """Reads heads for all connections of one listener whose transports are alike (trusted or not, secure or not)."""

    __slots__ = (
        "_fields",
        "_folding",
        "_limits",
        "_plain",
        "_recent",
        "_scheme",
        "_sections",
        "known",
        "lines",
        "total",
    )

    KEPT = 256
    KEPT_SIZE = 4096
    late = ProtocolError(408, "header_timeout", "the head was not complete in time")

    def __init__(self, limits: Limits, policy: Policy, fields: FieldPolicy, secure: bool) -> None:
        self._limits = limits
        self._fields = fields
        self._scheme = "https" if secure else "http"
        self._folding = policy.permit_obsolete_folding
        self.lines = LineParser(limits, policy)
        self.total = limits.head or sys.maxsize
        self.known = Known()
        self._sections: dict[bytes, Fields] = {}
        self._recent = Recent()
        unusual = policy.permit_obsolete_folding or policy.strip_header_spaces
        self._plain = None if unusual else PlainHeads(limits, fields)

    def glance(self, data: bytes) -> tuple[Entry | None, bytes]:
        """The head that these bytes begin with, and what follows it; None when that takes a closer look.

        Raises `ProtocolError`. Most clients send nothing after a head before its answer: then there is no
        search for the end, and no field to read when the same fields came before.
        """
        cut = data.find(b"\r\n")
        if cut <= 0:
            return None, data
        section = data[cut:]
        if len(data) <= self.total and section[-4:] == b"\r\n\r\n":
            fields = self._sections.get(section)
            if fields is not None:
                return self._compose(data, data[:cut], fields), b""
            if self._plain is not None:
                line = self.lines.request_line(data[:cut])
                fields = self._plain.read(data, section)
                if fields is not None:
                    return self._make(line, section, fields), b""
        end = section.find(b"\r\n\r\n") + 4
        if end < 4 or cut + end > self.total:
            return None, data
        rest = section[end:]
        if rest:
            return self.read(data[: cut + end]), rest
        return self._make(self.lines.request_line(data[:cut]), section, self._read(section)), b""

    def read(self, block: bytes) -> Entry:
        """Read a head that ends in its empty line. Raises `ProtocolError`."""
        entry = self.known.get(block)
        if entry is not None:
            return entry
        cut = block.index(b"\r\n")
        line, section = block[:cut], block[cut:]
        fields = self._sections.get(section)
        if fields is not None:
            return self._compose(block, line, fields)
        request_line = self.lines.request_line(line)
        if self._plain is not None:
            fields = self._plain.read(block, section)
        return self._make(request_line, section, self._read(section) if fields is None else fields)

    def _compose(self, block: bytes, line: bytes, fields: Fields) -> Entry:
        """A head of known fields. What has come before, line and fields, is kept as a whole."""
        again = line in self.lines.requests
        entry = make_head(self.lines.request_line(line), fields, self._limits, self._scheme)
        if again and len(block) <= self.KEPT_SIZE:
            self.known.keep(block, entry, self.KEPT)
        return entry

    def _read(self, section: bytes) -> Fields:
        """The fields line by line, with a verdict on what is wrong with them."""
        lines = section[2:-4].split(b"\r\n") if len(section) > 4 else []
        if self._folding:
            lines = self._unfold(lines)
        return self._fields.apply(self.lines.fields(lines))

    def _make(self, line: RequestLine, section: bytes, fields: Fields) -> Entry:
        """A head of fields just read, which are kept if they came before in this composition."""
        if self._recent.again(section) and len(section) <= self.KEPT_SIZE:
            keep(self._sections, section, fields, self.KEPT)
        return make_head(line, fields, self._limits, self._scheme)

    def begin(self) -> PiecedHead:
        """A head that comes in pieces."""
        return PiecedHead(self)

    def body(self, head: Head) -> Body:
        """The framing of this head's body."""
        return ChunkedBody(self, self._limits) if head.chunked else LengthBody(head.length or 0)

    def scan(self) -> LineScan:
        """A look at a head that is not complete yet."""
        return LineScan(self.lines, self.total, self._limits.fields, first=True, folding=self._folding)

    def trailers(self, section: bytes) -> Sequence[tuple[bytes, bytes]]:
        """Read a trailer section that ends in its empty line. Raises `ProtocolError`."""
        if section == b"\r\n":
            return ()
        return self._fields.apply_trailers(self.lines.fields(section[:-4].split(b"\r\n")))

    def scan_trailers(self) -> LineScan:
        """A look at a trailer section that is not complete yet."""
        return LineScan(self.lines, self.total, self._limits.fields, first=False, folding=False)

    def _unfold(self, lines: list[bytes]) -> list[bytes]:
        """Obsolete line folding (RFC 9112 section 5.2), for listeners that permit it: a fold is one space."""
        for line in lines:
            self.lines.check_line(line, False)
        unfolded: list[list[bytes]] = []
        for line in lines:
            if line[:1] not in _FOLDS:
                unfolded.append([line])
            elif not unfolded:
                raise bad("a head whose first field line begins with a blank")
            else:
                unfolded[-1].append(line.strip(b" \t"))
        return [b" ".join(parts) for parts in unfolded]


_BLANKS: Final = 2
"""Empty lines that may come before a request (RFC 9112 section 2.2 asks for at least one)."""


class PiecedHead:
    """One head that did not come in one piece, or has something before it."""

    __slots__ = ("_blanks", "_reader", "_scan", "_searched")

    def __init__(self, reader: HeadReader) -> None:
        self._reader = reader
        self._searched = 0
        self._blanks = 0
        self._scan: LineScan | None = None

    def take(self, buffer: bytearray) -> Entry | None:
        """The contract is `HeadScan`."""
        if buffer.startswith(b"\r"):
            self._skip_blanks(buffer)
        end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3)) + 4
        if end < 4 or end > self._reader.total:
            if buffer and buffer != b"\r":
                if self._scan is None:
                    self._scan = self._reader.scan()
                self._scan.look(buffer)
                self._searched = len(buffer)
            return None
        entry = self._reader.read(bytes(buffer[:end]))
        del buffer[:end]
        return entry

    def _skip_blanks(self, buffer: bytearray) -> None:
        while buffer.startswith(b"\r\n"):
            self._blanks += 1
            if self._blanks > _BLANKS:
                raise bad("empty lines where a request should be")
            del buffer[:2]


class Readers:
    """The readers of one listener: one for each kind of transport, made when the first of its kind comes."""

    __slots__ = ("_limits", "_policy", "_readers", "_trust")

    def __init__(self, limits: Limits, policy: Policy) -> None:
        self._limits = limits
        self._policy = policy
        self._trust = TrustList(policy.forwarded_allow)
        self._readers: dict[tuple[bool, bool], HeadReader] = {}

    def of(self, transport: Transport) -> HeadReader:
        """The reader for connections like this one."""
        kind = (self._trust.trusts(transport), transport.secure)
        reader = self._readers.get(kind)
        if reader is None:
            fields = FieldPolicy(self._policy, kind[0], self._trust)
            reader = self._readers[kind] = HeadReader(self._limits, self._policy, fields, kind[1])
        return reader
