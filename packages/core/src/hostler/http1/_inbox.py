"""What has been received and not been read yet: pieces of a head, requests sent ahead."""

from __future__ import annotations

from typing import Protocol

from hostler.http import Head, ProtocolError
from hostler.http1._body import Body
from hostler.http1._known import Known
from hostler.http1._render import Entry


class HeadSource(Protocol):
    """Where the heads of a connection come from: HTTP/1's reader, or that of a gateway protocol."""

    late: ProtocolError
    """What a head that is not complete in time deserves."""

    @property
    def known(self) -> Known:
        """What came before."""

    def glance(self, data: bytes) -> tuple[Entry | None, bytes]:
        """The head that these bytes begin with, and what follows it; None when that takes a closer look.

        Raises `ProtocolError`.
        """

    def begin(self) -> HeadScan:
        """A closer look at one head."""

    def body(self, head: Head) -> Body:
        """The framing of this head's body."""


class HeadScan(Protocol):
    """Looks for one head at the beginning of a buffer that grows, each octet once."""

    def take(self, buffer: bytearray) -> Entry | None:
        """Take the head out of the buffer; None while it is incomplete.

        Raises `ProtocolError` as soon as what is there cannot become a head.
        """


class Inbox:
    """The bytes kept by one connection. Most connections keep none, so there is nothing to make for them."""

    kept: bytearray | bytes = b""
    """What is kept; for looking at."""
    _scan: HeadScan | None = None

    def add(self, data: bytes) -> None:
        """Keep what came."""
        if data:
            if type(self.kept) is bytes:
                self.kept = bytearray()
            self.kept += data

    def clear(self) -> None:
        """Forget everything."""
        if self.kept:
            self.kept = b""

    def take(self) -> bytes:
        """All that is kept, which is forgotten."""
        data = bytes(self.kept)
        self.clear()
        return data

    def head(self, reader: HeadSource) -> Entry | None:
        """The next head, taken out; None while it is incomplete.

        Raises `ProtocolError` as soon as what is there cannot become a head.
        """
        kept = self.kept
        assert isinstance(kept, bytearray)  # something has been added
        if self._scan is None:
            self._scan = reader.begin()
        entry = self._scan.take(kept)
        if entry is not None:
            self._scan = None
        return entry
