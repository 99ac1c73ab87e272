"""A value as one frame and back: what goes inline, what goes through the shared memory, and what is too large.

Used alike by callers and workers. It knows the codec, the frames and the arena, and no socket.
"""

from __future__ import annotations

import logging
from typing import Any

from hostler_dirty import _codec, _wire
from hostler_dirty._arena import Arena, Window
from hostler_dirty._codec import LARGE
from hostler_dirty._wire import INLINE, SHARED, Frame
from hostler_dirty.errors import DirtyPayloadTooLargeError, DirtyProtocolError

logger = logging.getLogger(__name__)


def compose(
    kind: int,
    call: int,
    value: Any,
    arena: Arena | None,
    limit: int,
    *,
    flags: int = 0,
    priority: int = 0,
    deadline: int = 0,
    pickled: Any = None,
) -> bytes:
    """A frame of the value, a tuple; what is large lies in the arena afterwards.

    `pickled`, when given, is a value that follows as a pickle in the buffers. Raises DirtySerializationError
    and DirtyPayloadTooLargeError.
    """
    body, buffers = _codec.encode_lifted(value)
    if flags & _wire.PICKLED:
        pickle, beside = _codec.encode_pickle(pickled)
        buffers = [pickle, *beside]
    if not buffers and len(body) < LARGE:
        return _wire.pack(kind, call, body, flags, priority, deadline)
    size = len(body) + sum(map(len, buffers))
    if size > limit:
        raise DirtyPayloadTooLargeError(
            f"The payload has {size} octets; the setting dirty_max_payload allows {limit}", size, limit
        )
    return _with_buffers(kind, call, body, buffers, arena, flags, priority, deadline)


def _with_buffers(
    kind: int,
    call: int,
    body: bytes,
    buffers: list[Any],
    arena: Arena | None,
    flags: int,
    priority: int,
    deadline: int,
) -> bytes:
    pieces = buffers
    if len(body) >= LARGE and arena is not None:
        pieces = [body, *buffers]
    shared = [index for index, piece in enumerate(pieces) if len(piece) >= LARGE] if arena is not None else []
    places: dict[int, tuple[int, int]] = {}
    if shared and arena is not None:
        try:
            places = dict(zip(shared, arena.write([pieces[i] for i in shared]), strict=True))
        except OSError as error:
            logger.warning("no shared memory for a payload (%s): it goes through the socket", error)
            pieces = buffers
    table = [places.get(index, (INLINE, len(piece))) for index, piece in enumerate(pieces)]
    inline = [piece for index, piece in enumerate(pieces) if index not in places]
    if pieces is not buffers:
        body, flags = b"", flags | SHARED
    return _wire.pack_buffers(kind, call, body, table, inline, flags, priority, deadline)


def extract(frame: Frame, window: Window | None) -> tuple[Any, list[Any]]:
    """The body and the buffers beside it, wherever they lie. Raises DirtyProtocolError."""
    if not frame.table:
        return frame.body, []
    inline = iter(frame.inline)
    buffers: list[Any] = []
    for offset, length in frame.table:
        if offset == INLINE:
            buffers.append(next(inline))
        elif window is None:
            raise DirtyProtocolError("A buffer in shared memory on a channel that has none")
        else:
            buffers.append(window.view(offset, length))
    if frame.flags & SHARED:
        return buffers[0], buffers[1:]
    return frame.body, buffers


def octets(frame: Frame) -> int:
    """How large a message is, wherever its parts lie."""
    return len(frame.body) + (sum(length for _, length in frame.table) if frame.table else 0)


def octets_of(data: bytes) -> int:
    """As `octets`, of a frame that was composed."""
    count = data[_COUNT]
    if not count:
        return len(data) - _wire.HEADER.size
    body: int = _wire.HEADER.unpack_from(data)[8]
    at = _wire.HEADER.size + body
    entries = (_wire.ENTRY.unpack_from(data, at + index * _wire.ENTRY.size) for index in range(count))
    return body + sum(length for _, length in entries)


_COUNT = 6
"""Where in a frame the number of its buffers stands."""


def read(frame: Frame, window: Window | None, *, copy: bool = True, feed: Any = None) -> Any:
    """The value of a frame; a pickle, which only some apps allow, is refused here."""
    body, buffers = extract(frame, window)
    return _codec.decode(body, buffers, copy=copy, feed=feed)


def read_pickled(frame: Frame, window: Window | None, *, copy: bool = True) -> tuple[Any, Any]:
    """The value and, when there is one, the pickled value (otherwise None)."""
    body, buffers = extract(frame, window)
    if not frame.flags & _wire.PICKLED:
        return _codec.decode(body, buffers, copy=copy), None
    if not buffers:
        raise DirtyProtocolError("A pickle is announced and missing")
    return _codec.decode(body), _codec.decode_pickle(buffers[0], buffers[1:], copy=copy)
