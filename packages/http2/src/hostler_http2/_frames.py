"""Frames of RFC 9113 section 4 as bytes: cutting them out of what arrives, and writing them.

Knows lengths, types and flags; nothing of streams, of order, or of what a payload means.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9
PRIORITY_UPDATE: Final = 0x10
"""RFC 9218 section 7.1."""

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
WITH_PRIORITY: Final = 0x20

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6
ENABLE_CONNECT_PROTOCOL: Final = 0x8
"""RFC 8441 section 3."""
NO_RFC7540_PRIORITIES: Final = 0x9
"""RFC 9218 section 2.1."""

NO_ERROR: Final = 0x0
PROTOCOL_ERROR: Final = 0x1
INTERNAL_ERROR: Final = 0x2
FLOW_CONTROL_ERROR: Final = 0x3
SETTINGS_TIMEOUT: Final = 0x4
STREAM_CLOSED: Final = 0x5
FRAME_SIZE_ERROR: Final = 0x6
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8
COMPRESSION_ERROR: Final = 0x9
ENHANCE_YOUR_CALM: Final = 0xB

LARGEST_STREAM: Final = (1 << 31) - 1
HEADER_SIZE: Final = 9

_HEADER = Struct(">HBBBI")
_pack = _HEADER.pack
_unpack = _HEADER.unpack_from
_ENTRY = Struct(">HI")
_WORD = Struct(">I")
_TWO_WORDS = Struct(">II")

Frame = tuple[int, int, int, bytes]
"""Type, flags, stream, payload."""


class ConnectionBroken(Exception):
    """The peer broke the connection as a whole: GOAWAY with `code`, and the word for the log."""

    def __init__(self, code: int, reason: str, kind: str = "bad_request") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.kind = kind


class FrameBuffer:
    """Cuts what arrives into whole frames. Each octet is looked at a bounded number of times, however it is split."""

    __slots__ = ("_kept", "_largest", "_need")

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._kept = bytearray()
        self._need = HEADER_SIZE

    @property
    def partial(self) -> bool:
        """A frame has begun and is not complete."""
        return bool(self._kept)

    def cut(self, data: bytes) -> tuple[list[Frame], ConnectionBroken | None]:
        """Whole frames, and what is wrong with the one behind them. Keeps the rest."""
        if self._kept:
            self._kept += data
            if len(self._kept) < self._need:
                return [], None
            data = bytes(self._kept)
            self._kept = bytearray()
        frames: list[Frame] = []
        position, size = 0, len(data)
        while size - position >= HEADER_SIZE:
            high, low, kind, flags, stream = _unpack(data, position)
            length = high << 8 | low
            if length > self._largest:
                return frames, ConnectionBroken(
                    FRAME_SIZE_ERROR, f"a frame of {length} octets", "h2_frame_size"
                )
            end = position + HEADER_SIZE + length
            if end > size:
                self._need = HEADER_SIZE + length
                self._kept += data[position:]
                return frames, None
            frames.append((kind, flags, stream & LARGEST_STREAM, data[position + HEADER_SIZE : end]))
            position = end
        self._need = HEADER_SIZE
        if position < size:
            self._kept += data[position:]
        return frames, None


def frame_header(length: int, kind: int, flags: int, stream: int) -> bytes:
    """The nine octets before a payload."""
    return _pack(length >> 8, length & 0xFF, kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A whole frame."""
    return frame_header(len(payload), kind, flags, stream) + payload


def settings(entries: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join([_ENTRY.pack(*entry) for entry in entries.items()]))


def entries_of(payload: bytes) -> list[tuple[int, int]]:
    """The entries of a SETTINGS payload, whose size is a multiple of six."""
    return list(_ENTRY.iter_unpack(payload))


def reset(stream: int, code: int) -> bytes:
    """A RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, _WORD.pack(code))


def goaway(last: int, code: int) -> bytes:
    """A GOAWAY frame, without debug data: a peer needs none, and an attacker less."""
    return frame(GOAWAY, 0, 0, _TWO_WORDS.pack(last, code))


def window_update(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream, _WORD.pack(increment))


def word(payload: bytes, offset: int = 0) -> int:
    """Four octets as a number."""
    return int(_WORD.unpack_from(payload, offset)[0])


def header_frames(stream: int, block: bytes, end: bool, largest: int) -> bytes:
    """A header block as HEADERS and as many CONTINUATION frames as the peer's frame size asks for."""
    flags = END_STREAM if end else 0
    if len(block) <= largest:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    parts = [frame(HEADERS, flags, stream, block[:largest])]
    for start in range(largest, len(block), largest):
        piece = block[start : start + largest]
        last = start + largest >= len(block)
        parts.append(frame(CONTINUATION, END_HEADERS if last else 0, stream, piece))
    return b"".join(parts)


def unpadded(flags: int, payload: bytes) -> bytes:
    """A DATA or HEADERS payload without its padding (RFC 9113 section 6.1)."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionBroken(PROTOCOL_ERROR, "padding that is longer than its frame")
    return payload[1 : len(payload) - payload[0]]


def without_priority(flags: int, payload: bytes) -> bytes:
    """A HEADERS payload without the weight and dependency of RFC 7540, which RFC 9113 tells to ignore."""
    if not flags & WITH_PRIORITY:
        return payload
    if len(payload) < 5:
        raise ConnectionBroken(
            FRAME_SIZE_ERROR, "a HEADERS frame too short for its priority", "h2_frame_size"
        )
    return payload[5:]
