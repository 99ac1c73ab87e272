"""What has been received and not been read yet: pieces of a head, requests sent ahead.

Takes time linear in what it is fed, however it was split.
"""

from __future__ import annotations

from typing import Final

from hostler.http import Head
from hostler.http1._head_reader import HeadReader, LineScan
from hostler.http1._lines import bad

_BLANKS: Final = 2
"""Empty lines that may come before a request (RFC 9112 section 2.2 asks for at least one)."""


class Inbox:
    """The bytes kept by one connection."""

    __slots__ = ("_blanks", "_bytes", "_reader", "_scan", "_searched")

    def __init__(self, reader: HeadReader) -> None:
        self._reader = reader
        self._bytes = bytearray()
        self._searched = 0
        self._blanks = 0
        self._scan: LineScan | None = None

    def __len__(self) -> int:
        return len(self._bytes)

    def add(self, data: bytes) -> None:
        """Keep what came."""
        self._bytes += data

    def clear(self) -> None:
        """Forget everything."""
        self._bytes.clear()

    def take(self) -> bytes:
        """All that is kept, which is forgotten."""
        data = bytes(self._bytes)
        self._bytes.clear()
        return data

    def head(self) -> tuple[Head, bool] | None:
        """The next head, taken out, with its client's wish to keep the connection; None while it is incomplete.

        Raises `ProtocolError` as soon as what is there cannot become a head.
        """
        buffer = self._bytes
        if buffer.startswith(b"\r"):
            self._skip_blanks()
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
        self._searched = self._blanks = 0
        self._scan = None
        return entry

    def _skip_blanks(self) -> None:
        while self._bytes.startswith(b"\r\n"):
            self._blanks += 1
            if self._blanks > _BLANKS:
                raise bad("empty lines where a request should be")
            del self._bytes[:2]
