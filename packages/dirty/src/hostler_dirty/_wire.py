"""The frames of the pool, as bytes and values: pack, and read from any split of the bytes.

Every frame has a header of 32 octets, little endian:

    magic u16 "HD" | version u8 | kind u8 | flags u16 | buffers u8 | priority u8 | call u64
    | deadline u64 (CLOCK_MONOTONIC nanoseconds, 0: none) | body length u32 | tail length u32

then the body, then the tail: a table of `buffers` entries (offset u64, length u64) and after it those
buffers that are inline (offset INLINE). Other buffers lie in the shared memory of the channel. No socket,
clock or codec is known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import TypeAlias

from hostler_dirty.errors import DirtyPayloadTooLargeError, DirtyProtocolError

MAGIC = 0x4448
VERSION = 1
HEADER = Struct("<HBBHBBQQII")
ENTRY = Struct("<QQ")
INLINE = 0xFFFF_FFFF_FFFF_FFFF
MAX_INLINE = 0x7FFF_FFFF

Octets: TypeAlias = bytes | bytearray | memoryview

# Session: a caller and the arbiter.
HELLO, WELCOME, LEASE, GRANT, REJECT, UNLEASE, FATE, STASH, MANAGE, REPLY, BLOCKED = range(1, 12)
# Control: a worker and the arbiter.
BOOT, READY, INITFAIL, INTRO, RECALL, DONE, GONE, DRAIN, STACKS, EVENT, ALLOW = range(20, 31)
# Channel: a caller and a worker.
ATTACH, CALL, RESULT, ERROR, CHUNK, END, INPUT, INPUT_END, CREDIT, STALE, BEGAN = range(40, 51)

KINDS = frozenset((*range(1, 12), *range(20, 31), *range(40, 51)))

# Flags.
STREAM = 0x01
"""CALL: the caller reads chunks."""
COLLECT = 0x02
"""CALL: a stream's chunks are wanted as one list."""
FED = 0x04
"""CALL, LEASE: one argument is a stream of INPUT frames."""
KEPT = 0x08
"""CALL: the lease may be kept after the call. RESULT, ERROR, END: it was."""
RETAINED = 0x10
"""RESULT, ERROR, END: the app still holds arguments that lie in the shared memory; use another one."""
CODED = 0x20
"""The values were made by another codec than the pool's own: the body names it, and they are the table's buffers."""
SHARED = 0x40
"""The body lies in the shared memory, and the table's first entry says where."""
REPEATED = 0x80
"""LEASE: a further attempt of a call that no worker had started; it was let in once, and is not turned away now."""
FRESH = 0x01
"""GRANT: a descriptor of a new channel comes with it."""
OUTSIDE = 0x01
"""INTRO: the caller came by the door for outsiders: no descriptors, no pickles, no lease between its calls."""
BARE = 0x01
"""ATTACH: the channel has no shared memory; everything goes through the socket, and BEGAN tells of a start."""
FLAGS = 0xFF


@dataclass(slots=True)
class Frame:
    """One frame. `table` has (offset, length); `inline` the octets of the inline ones, in order."""

    kind: int
    flags: int
    priority: int
    call: int
    deadline: int
    body: Octets
    table: Sequence[tuple[int, int]] = ()
    inline: Sequence[Octets] = ()


def pack(
    kind: int, call: int, body: Octets = b"", flags: int = 0, priority: int = 0, deadline: int = 0
) -> bytes:
    """A frame without buffers."""
    return HEADER.pack(MAGIC, VERSION, kind, flags, 0, priority, call, deadline, len(body), 0) + body


def pack_buffers(
    kind: int,
    call: int,
    body: Octets,
    table: Sequence[tuple[int, int]],
    inline: Sequence[Octets],
    flags: int = 0,
    priority: int = 0,
    deadline: int = 0,
) -> bytes:
    """A frame with a table of buffers; `inline` holds the octets of the entries whose offset is INLINE."""
    tail = len(table) * ENTRY.size + sum(map(len, inline))
    if len(table) > 255:
        raise DirtyPayloadTooLargeError(f"A message has {len(table)} buffers, and 255 is the most")
    if tail > MAX_INLINE or len(body) > MAX_INLINE:
        raise DirtyPayloadTooLargeError("A message is larger than a frame can be", tail, MAX_INLINE)
    head = HEADER.pack(MAGIC, VERSION, kind, flags, len(table), priority, call, deadline, len(body), tail)
    return b"".join((head, body, *(ENTRY.pack(*entry) for entry in table), *inline))


class FrameReader:
    """Bytes in, frames out. Linear in the bytes, however they are split."""

    __slots__ = ("_buffer", "_limit", "_need")

    def __init__(self, limit: int) -> None:
        """`limit`: the most octets of one frame."""
        self._buffer = bytearray()
        self._limit = limit
        self._need = HEADER.size

    @property
    def partial(self) -> bool:
        """Part of a frame is buffered."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes; the frames that are complete now. Raises DirtyProtocolError."""
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return []
            data = bytes(self._buffer)
            self._buffer = bytearray()
        frames: list[Frame] = []
        position, size = 0, len(data)
        while size - position >= HEADER.size:
            end = position + self._length(data, position)
            if end > size:
                break
            frames.append(self._frame(data, position, end))
            position = end
        if position < size:
            self._buffer += data[position:]
            left = size - position
            self._need = self._length(data, position) if left >= HEADER.size else HEADER.size
        return frames

    def _length(self, data: bytes, at: int) -> int:
        magic, version, kind, flags, count, _, _, _, body, tail = HEADER.unpack_from(data, at)
        if magic != MAGIC:
            raise DirtyProtocolError("The other side does not speak this protocol", data[at : at + 32])
        if version != VERSION:
            raise DirtyProtocolError(
                f"The other side speaks version {version} of the protocol, this one {VERSION}"
            )
        if kind not in KINDS or flags & ~FLAGS:
            raise DirtyProtocolError(f"Unknown frame (kind {kind}, flags {flags:#x})")
        if body + tail > self._limit:
            raise DirtyProtocolError(f"A frame of {body + tail} octets; {self._limit} is the limit")
        if count * ENTRY.size > tail or (tail and not count):
            raise DirtyProtocolError("A frame's table of buffers is longer than its tail")
        return HEADER.size + int(body) + int(tail)

    def _frame(self, data: bytes, start: int, end: int) -> Frame:
        _, _, kind, flags, count, priority, call, deadline, size, _ = HEADER.unpack_from(data, start)
        at = start + HEADER.size
        body: Octets = data[at : at + size] if size < 4096 else memoryview(data)[at : at + size]
        if not count:
            return Frame(kind, flags, priority, call, deadline, body)
        at += size
        table = [ENTRY.unpack_from(data, at + i * ENTRY.size) for i in range(count)]
        at += count * ENTRY.size
        view = memoryview(data)
        inline = []
        for offset, length in table:
            if offset == INLINE:
                if at + length > end:
                    raise DirtyProtocolError("A buffer reaches beyond its frame")
                inline.append(view[at : at + length])
                at += length
        if at != end:
            raise DirtyProtocolError("A frame is longer than its buffers")
        return Frame(kind, flags, priority, call, deadline, body, table, inline)
