"""The two framings of a request's body (RFC 9112 sections 6.2 and 7.1): by length and by chunks.

A body takes bytes and gives back its content and, once it is complete, what followed it. Both cost time
linear in what they are fed, however it was split.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from hostler.http import Limits, ProtocolError
from hostler.http._grammar import LARGEST, TCHAR
from hostler.http1._scan import LineScan

_EXTENSION = (
    rb"[ \t]*;[ \t]*[" + TCHAR + rb"]+"
    rb"(?:[ \t]*=[ \t]*(?:[" + TCHAR + rb"]+|\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*\"))?"
)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:" + _EXTENSION + rb")*)").fullmatch
_PLAIN_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}").fullmatch
_CHUNK_BEGIN = re.compile(rb"[0-9A-Fa-f]{1,16}(?:[ \t;][^\r\n]*)?\r?").fullmatch

_SIZE: Final = 0
_CONTENT: Final = 1
_BREAK: Final = 2
_BREAK_LF: Final = 3
_TRAILERS: Final = 4


def _bad_chunk(reason: str) -> ProtocolError:
    return ProtocolError(400, "bad_chunk", reason)


class LengthBody:
    """A body whose Content-Length was declared."""

    __slots__ = ("left", "trailers")

    def __init__(self, length: int) -> None:
        self.left: int | None = length
        """Octets still to come."""
        self.trailers: Sequence[tuple[bytes, bytes]] = ()

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Content, and what followed the body; None while it is incomplete."""
        assert self.left is not None
        left = self.left - len(data)
        if left > 0:
            self.left = left
            return data, None
        self.left = 0
        if left == 0:
            return data, b""
        return data[:left], data[left:]


class TrailerReader(Protocol):
    """What reads trailer sections by the rules of heads."""

    total: int

    def trailers(self, section: bytes) -> Sequence[tuple[bytes, bytes]]:
        """A section that ends in its empty line. Raises `ProtocolError`."""

    def scan_trailers(self) -> LineScan:
        """A look at a section that is not complete yet."""


class ChunkedBody:
    """A body in chunks, with its trailers."""

    __slots__ = (
        "_extensions",
        "_limits",
        "_line",
        "_reader",
        "_room",
        "_scan",
        "_state",
        "_want",
        "left",
        "trailers",
    )

    def __init__(self, reader: TrailerReader, limits: Limits) -> None:
        self._reader = reader
        self._limits = limits
        self._state = _SIZE
        self._line = bytearray()
        self._scan: LineScan | None = None
        self._want = 0
        self._room = limits.body or LARGEST
        self._extensions = 0
        self.left: int | None = None
        """Octets still to come: a chunked body does not say."""
        self.trailers: Sequence[tuple[bytes, bytes]] = ()

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Content, and what followed the body; None while it is incomplete. Raises `ProtocolError`."""
        blocks: list[bytes] = []
        position, size = 0, len(data)
        while position < size:
            if self._state == _CONTENT:
                block = data[position : position + self._want]
                blocks.append(block)
                position += len(block)
                self._want -= len(block)
                if not self._want:
                    self._state = _BREAK
            elif self._state == _SIZE:
                if not self._line:
                    position = self._whole(data, position, blocks)
                if position < size:
                    position = self._size(data, position)
            elif self._state == _TRAILERS:
                rest = self._read_trailers(data[position:])
                return b"".join(blocks), rest
            else:
                position = self._break(data, position)
        return b"".join(blocks), None

    def _whole(self, data: bytes, position: int, blocks: list[bytes]) -> int:
        """Chunks without extensions that came in one piece; where the first other one begins."""
        room = self._room
        while True:
            end = data.find(b"\r\n", position, position + 18)
            if end < 0 or _PLAIN_SIZE(data, position, end) is None:
                break
            size = int(data[position:end], 16)
            stop = end + 2 + size
            if not size or size > room or data[stop : stop + 2] != b"\r\n":
                break
            blocks.append(data[end + 2 : stop])
            room -= size
            position = stop + 2
        self._room = room
        return position

    def _break(self, data: bytes, position: int) -> int:
        """The CRLF after a chunk's data."""
        if self._state == _BREAK and data[position : position + 1] == b"\r":
            self._state = _BREAK_LF
        elif self._state == _BREAK_LF and data[position : position + 1] == b"\n":
            self._state = _SIZE
        else:
            raise _bad_chunk("chunk data that is not followed by CRLF")
        return position + 1

    def _size(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position)
        line = (
            bytes(self._line) + data[position : end if end >= 0 else position + self._limits.chunk_line + 2]
        )
        if len(line.removesuffix(b"\r")) > self._limits.chunk_line:
            raise _bad_chunk("a chunk line that is too long")
        if end < 0:
            if _CHUNK_BEGIN(line) is None:
                raise _bad_chunk("a chunk without a size")
            self._line[:] = line
            return len(data)
        self._line.clear()
        match = _CHUNK_LINE(line[:-1])
        if match is None or line[-1:] != b"\r":
            raise _bad_chunk("a chunk line that is no size with extensions")
        self._extensions += len(match[2])
        if self._extensions > self._limits.chunk_extensions:
            raise _bad_chunk("too many octets of chunk extensions")
        self._begin_chunk(int(match[1], 16))
        return end + 1

    def _begin_chunk(self, size: int) -> None:
        if size > LARGEST:
            raise _bad_chunk("a chunk size above 2**63-1")
        if size > self._room:
            raise ProtocolError(413, "body_too_large", f"a body of more than {self._limits.body} octets")
        self._room -= size
        self._want = size
        self._state = _CONTENT if size else _TRAILERS

    def _read_trailers(self, data: bytes) -> bytes | None:
        line = self._line
        searched = max(0, len(line) - 3)
        line += data
        end = 2 if line.startswith(b"\r\n") else line.find(b"\r\n\r\n", searched) + 4
        try:
            if (end < 4 and end != 2) or end > self._reader.total:
                if self._scan is None:
                    self._scan = self._reader.scan_trailers()
                self._scan.look(line)
                return None
            self.trailers = self._reader.trailers(bytes(line[:end]))
        except ProtocolError as error:
            raise ProtocolError(error.status, "bad_trailer", error.reason) from None
        return bytes(line[end:])


Body = LengthBody | ChunkedBody
