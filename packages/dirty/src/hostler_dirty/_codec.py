"""Values to octets and back: msgpack with large pieces beside it, and pickle. What chooses between codecs is `codecs`.

`encode` gives a body and the buffers that lie beside it, so that an array or a large byte string is copied
once, into the shared memory, and never through the body. What the default codec carries is msgspec's data
model: tuples and sets arrive as lists, a bytearray as bytes. It never executes anything while decoding.
No socket is known here.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hostler_dirty.errors import DirtyProtocolError, DirtySerializationError

LARGE = 65536
"""From this size on, bytes go beside the body (as measured: below it, the socket is as fast)."""
_SCANNED = 64
"""Containers with at most so many items are searched for large bytes, two levels deep."""

BYTES, MEMORYVIEW, NDARRAY, FEED = 1, 2, 3, 4

Ext = msgspec.msgpack.Ext
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


class Feed:
    """The place of an argument that is a stream: its items follow as INPUT frames."""

    __slots__ = ()


class _Beside(Exception):
    """A value goes beside the body: encode again, with a list for it."""


def _refuse(value: Any) -> Any:
    raise _Beside


_encoder = msgspec.msgpack.Encoder(enc_hook=_refuse)


def encode(value: Any) -> tuple[bytes, list[Any]]:
    """The body and the buffers beside it. Raises DirtySerializationError with the path of the bad value."""
    try:
        return _encoder.encode(value), []
    except _Beside:
        pass
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError) as error:
        raise _explain(value, error) from None
    buffers: list[Any] = []
    try:
        return msgspec.msgpack.Encoder(enc_hook=_hook(buffers)).encode(value), buffers
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError) as error:
        raise _explain(value, error) from None


def encode_lifted(value: Sequence[Any]) -> tuple[bytes, list[Any]]:
    """As `encode`, with large byte strings of the value's first levels beside the body."""
    buffers: list[Any] = []
    lifted = _lift(value, buffers, 3)
    if not buffers:
        return encode(value)
    try:
        return msgspec.msgpack.Encoder(enc_hook=_hook(buffers)).encode(lifted), buffers
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError) as error:
        raise _explain(value, error) from None


def _lift(value: Any, buffers: list[Any], depth: int) -> Any:
    cls = type(value)
    if cls is bytes or cls is bytearray or cls is memoryview:
        if cls is not memoryview and len(value) < LARGE:
            return value
        code = MEMORYVIEW if cls is memoryview else BYTES  # a bytearray is bytes, as in the body
        buffers.append(flat(value))
        return Ext(code, _pack(len(buffers) - 1))
    if not depth:
        return value
    if (cls is tuple or cls is list) and len(value) <= _SCANNED:
        for index, item in enumerate(value):
            new = _lift(item, buffers, depth - 1) if type(item) in _DEEP else item
            if new is not item:
                copy = list(value)
                copy[index] = new
                copy[index + 1 :] = [_lift(rest, buffers, depth - 1) for rest in value[index + 1 :]]
                return copy
    elif cls is dict and len(value) <= _SCANNED:
        lifted = {key: _lift(item, buffers, depth - 1) for key, item in value.items()}
        if any(lifted[key] is not item for key, item in value.items()):
            return lifted
    return value


_DEEP = frozenset((bytes, bytearray, memoryview, tuple, list, dict))


def flat(value: Any) -> Any:
    """The same octets, as something whose length is their number."""
    if type(value) is memoryview and (value.format != "B" or value.ndim != 1 or not value.c_contiguous):
        return value.cast("B") if value.c_contiguous else memoryview(value.tobytes())
    return value


def _hook(buffers: list[Any]) -> Callable[[Any], Any]:
    def hook(value: Any) -> Any:
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            if isinstance(value, numpy.ndarray):
                return _array(value, buffers, numpy)
            if isinstance(value, numpy.generic):
                return value.item()
        if type(value) is Feed:
            return Ext(FEED, b"")
        raise TypeError(f"a value of type {type(value).__module__}.{type(value).__qualname__}")

    return hook


def _array(value: Any, buffers: list[Any], numpy: Any) -> Any:
    if value.dtype.hasobject:
        raise TypeError("a numpy array of objects")
    flat = numpy.ascontiguousarray(value)
    described = value.dtype.descr if value.dtype.names else value.dtype.str
    if not flat.nbytes:
        flat = numpy.empty(0, "u1")
    buffers.append(memoryview(flat.reshape(-1).view("u1")))
    return Ext(NDARRAY, _pack((len(buffers) - 1, described, value.shape)))


def decode(body: Any, buffers: Sequence[Any] = (), *, copy: bool = True, feed: Any = None) -> Any:
    """The value. With `copy` nothing of it lies in `buffers` afterwards; otherwise arrays and memoryviews do."""

    def hook(code: int, data: memoryview) -> Any:
        if code == FEED:
            return feed
        if code == NDARRAY:
            index, described, shape = _unpack(data)
            return _restore_array(buffers[index], described, shape, copy=copy)
        if code not in (BYTES, MEMORYVIEW):
            raise ValueError(f"extension {code}")
        buffer = buffers[_unpack(data)]
        if code == BYTES:
            return bytes(buffer)
        return memoryview(bytes(buffer)) if copy else memoryview(buffer).toreadonly()

    try:
        if not buffers and feed is None:
            return _decode_plain(body)
        return msgspec.msgpack.Decoder(ext_hook=hook).decode(body)
    except (msgspec.MsgspecError, ValueError, TypeError, IndexError, RecursionError) as error:
        raise DirtyProtocolError(f"A message cannot be decoded: {error}") from None


_decode_plain = msgspec.msgpack.Decoder().decode


def _restore_array(buffer: Any, described: Any, shape: Sequence[int], *, copy: bool) -> Any:
    import numpy  # noqa: PLC0415  (only when an array really came)

    if isinstance(described, list):
        dtype = numpy.dtype(
            [tuple(tuple(x) if isinstance(x, list) else x for x in item) for item in described]
        )
    else:
        dtype = numpy.dtype(described)
    if dtype.hasobject:
        raise ValueError("an array of objects")
    array: Any = numpy.frombuffer(buffer, dtype) if len(buffer) else numpy.empty(0, dtype)
    array = array.reshape(shape)
    if copy:
        return array.copy()
    array.flags.writeable = False
    return array


def encode_pickle(value: Any) -> tuple[bytes, list[Any]]:
    """As `encode`, by pickle protocol 5 with its buffers beside it."""
    buffers: list[pickle.PickleBuffer] = []
    try:
        body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        return body, [buffer.raw() for buffer in buffers]
    except Exception as error:  # noqa: BLE001  (anything may come out of a value's __reduce__)
        raise DirtySerializationError(f"The value cannot be pickled: {error}") from None


def decode_pickle(body: Any, buffers: Sequence[Any], *, copy: bool) -> Any:
    """The value of `encode_pickle`; only ever called for an app whose `codec` is `pickle`."""
    try:
        return pickle.loads(body, buffers=[bytes(b) if copy else b for b in buffers])
    except Exception as error:  # noqa: BLE001  (a pickle runs the classes' code)
        raise DirtySerializationError(f"The pickle cannot be read: {error}") from None


def _explain(value: Any, error: Exception) -> DirtySerializationError:
    path, reason = _find(value, "", 0)
    return DirtySerializationError(f"Cannot send {path or 'the value'}: {reason or error}", path)


def _find(value: Any, path: str, depth: int) -> tuple[str, str]:
    """The path of the first value that cannot be sent, and why."""
    if depth > 64:
        return path, "it is nested too deeply"
    if isinstance(value, dict):
        for key, item in value.items():
            if not _sends(key):
                return f"{path} key {key!r}", _reason(key)
            if not _sends(item):
                return _find(item, f"{path}[{key!r}]", depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, item in enumerate(value):
            if not _sends(item):
                return _find(item, f"{path}[{index}]", depth + 1)
    return path, _reason(value)


def _sends(value: Any) -> bool:
    return not _reason(value)


def _reason(value: Any) -> str:
    try:
        msgspec.msgpack.Encoder(enc_hook=_hook([])).encode(value)
    except RecursionError:
        return "it is nested too deeply"
    except (TypeError, ValueError, OverflowError, UnicodeError) as error:
        return str(error)
    return ""
