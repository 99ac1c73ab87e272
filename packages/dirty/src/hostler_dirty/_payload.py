"""A value as one frame and back: what goes inline, what goes through the shared memory, and what is too large.

Used alike by callers and workers. It knows the codec, the frames and the arena, and no socket.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from hostler_dirty import _codec, _wire
from hostler_dirty._arena import Arena, Window
from hostler_dirty._codec import LARGE
from hostler_dirty._wire import CODED, INLINE, SHARED, Frame
from hostler_dirty.errors import DirtyPayloadTooLargeError, DirtyProtocolError

if TYPE_CHECKING:
    from hostler_dirty.codecs import Codec

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
    coded: tuple[Codec, Any] | None = None,
) -> bytes:
    """A frame of the value, a tuple; what is large lies in the arena afterwards.

    `coded`, when given, is a value that follows by this codec in the buffers. Raises DirtySerializationError
    and DirtyPayloadTooLargeError.
    """
    body, buffers = _codec.encode_lifted(value)
    if coded is not None:
        packed, beside = coded[0].dump(coded[1])
        buffers = [packed, *beside]
        flags |= CODED
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
    beside: int = sum(length for _, length in entries)
    return body + beside


_COUNT = 6
"""Where in a frame the number of its buffers stands."""


def read(frame: Frame, window: Window | None, *, copy: bool = True, feed: Any = None) -> Any:
    """The value of a frame that no other codec made."""
    if frame.flags & CODED:
        raise DirtyProtocolError("A message by another codec where the pool's own is spoken")
    body, buffers = extract(frame, window)
    return _codec.decode(body, buffers, copy=copy, feed=feed)


def pack_one(
    kind: int, call: int, value: Any, codec: Codec | None, arena: Arena | None, limit: int, *, flags: int = 0
) -> bytes:
    """A frame of one value: a result, a chunk, an item. `codec` is the app's; None: the pool's own."""
    if codec is None:
        return compose(kind, call, (value,), arena, limit, flags=flags)
    return compose(kind, call, (codec.name,), arena, limit, flags=flags, coded=(codec, value))


def read_one(frame: Frame, window: Window | None, codec: Codec | None) -> Any:
    """The value that `pack_one` packed, with nothing of it in the window. Raises DirtyProtocolError."""
    coded = frame.flags & CODED
    if frame.table:
        body, buffers = extract(frame, window)
        value = _codec.decode(body, () if coded else buffers)
        del body
    else:
        value = _codec.decode(frame.body)
    try:
        (only,) = value
    except (TypeError, ValueError):
        raise DirtyProtocolError("An answer of another shape") from None
    if coded:
        if codec is None or codec.name != only or not frame.table or not buffers:
            raise DirtyProtocolError(f"A message by the codec {only!r}, which is not this call's")
        only = codec.load(buffers[0], buffers[1:])
    return only
