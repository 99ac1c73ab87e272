"""Codecs: how an app's values travel. The public face for those who choose one, and for those who write one.

A codec is a value in the entry-point group `hostler.dirty_codecs`; an app names it (`codec = "…"`), and the
setting `dirty_codec` names that of the apps which name none. `msgpack` and `pickle` come in by the same door as
a stranger's. Callers and workers look the name up for themselves, so both must have the codec installed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hostler.errors import PluginError
from hostler.plugin import find_extension

from hostler_dirty import _codec
from hostler_dirty.errors import DirtyConfigError, DirtyError, DirtySerializationError

__all__ = [
    "DEFAULT",
    "GROUP",
    "MSGPACK",
    "PICKLE",
    "Codec",
    "check_default",
    "described",
    "find",
    "find_other",
]

GROUP = "hostler.dirty_codecs"
DEFAULT = "msgpack"


@dataclass(frozen=True, slots=True)
class Codec:
    """How values become octets and values again. Both functions are called from many threads at once."""

    name: str
    """What frames call it: the same at both ends."""
    encode: Callable[[Any], tuple[Any, Sequence[Any]]]
    """`encode(value) -> (body, buffers)`: octets, and those large pieces that are to lie beside them uncopied, each
    bytes-like and contiguous, at most 254. Whatever it raises reaches the caller as DirtySerializationError."""
    decode: Callable[..., Any]
    """`decode(body, buffers, copy=…) -> value`, of what `encode` gave. Without `copy` the value may lie in the
    buffers, read-only; with it nothing of it may, because they are written anew by the next message."""
    data_only: bool = False
    """Decoding makes data and never runs code, whatever the octets are. Only such a codec may be `dirty_codec`, and
    only such a one is spoken with callers from outside the server."""
    summary: str = ""
    api: tuple[int, int] = (1, 0)

    def dump(self, value: Any) -> tuple[Any, list[Any]]:
        """The body and the buffers. Raises DirtySerializationError."""
        try:
            body, buffers = self.encode(value)
            return body, [_codec.flat(buffer) for buffer in buffers]
        except DirtyError:
            raise
        except Exception as error:  # noqa: BLE001  (a stranger's code, and the values' own)
            raise DirtySerializationError(f"The codec {self.name} cannot send the value: {error}") from None

    def load(self, body: Any, buffers: Sequence[Any], *, copy: bool = True) -> Any:
        """The value. Raises DirtySerializationError, or DirtyProtocolError for what no encoder made."""
        try:
            return self.decode(body, buffers, copy=copy)
        except DirtyError:
            raise
        except Exception as error:  # noqa: BLE001  (the same wall)
            raise DirtySerializationError(f"The codec {self.name} cannot read a message: {error}") from None


MSGPACK = Codec(
    DEFAULT, _codec.encode_lifted, _codec.decode, data_only=True,
    summary="msgspec's msgpack; arrays and large octets beside it",
)  # fmt: skip
PICKLE = Codec(
    "pickle", _codec.encode_pickle, _codec.decode_pickle,
    summary="any Python value, between callers and apps that trust each other",
)  # fmt: skip


@functools.cache
def find(name: str) -> Codec:
    """The codec of this name: an installed one's, `DIST#NAME`, or `MODULE:ATTRIBUTE`.

    Raises DirtyConfigError, with one line that says what to install.
    """
    try:
        return find_extension(Codec, GROUP, name, "dirty codec")
    except PluginError as error:
        raise DirtyConfigError(str(error)) from None


def find_other(name: str | None) -> Codec | None:
    """As `find`; None for the default codec, which needs no finding."""
    return None if name is None or name == DEFAULT else find(name)


def described(name: str) -> dict[str, Any]:
    """What callers and the arbiter are told of an app's codec. Raises DirtyConfigError."""
    return {"codec": name, "data_only": find(name).data_only if name != DEFAULT else True}


def check_default(name: str) -> None:
    """Whether `dirty_codec` may be this one. Raises DirtyConfigError."""
    if name != DEFAULT and not find(name).data_only:
        raise DirtyConfigError(
            f"dirty_codec: {name} may run code while it decodes, so it cannot be the default; an app that needs it "
            f"says so itself: codec = {name!r}"
        )
