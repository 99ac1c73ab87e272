"""A call on its way to where the apps are, and its answer back, as plain values that any transport can carry.

For executors other than the pool, which has frames of its own. Nothing here knows how it is carried.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from hostler_dirty import _codec, codecs
from hostler_dirty._codec import Feed
from hostler_dirty._wire import COLLECT
from hostler_dirty.errors import DirtyPayloadTooLargeError, DirtyProtocolError

if TYPE_CHECKING:
    from hostler_dirty._calling import Plan
    from hostler_dirty.codecs import Codec


class Packed(NamedTuple):
    """A value by a codec."""

    codec: str
    body: Any
    buffers: tuple[Any, ...] = ()
    """Octets that lie beside the body."""


def pack(value: Any, codec: Codec | None, limit: int) -> Packed:
    """The value by this codec; None: the pool's own. Raises DirtySerializationError, DirtyPayloadTooLargeError."""
    if codec is None:
        body, buffers = _codec.encode_lifted((value,))
        name = codecs.DEFAULT
    else:
        (body, buffers), name = codec.dump(value), codec.name
    size = len(body) + sum(map(len, buffers))
    if size > limit:
        raise DirtyPayloadTooLargeError(
            f"The payload has {size} octets; the setting dirty_max_payload allows {limit}", size, limit
        )
    return Packed(name, body, tuple(buffers))


def unpack(packed: Packed, codec: Codec | None) -> Any:
    """The value, all of it new. Raises DirtyProtocolError, DirtySerializationError."""
    if packed.codec != (codecs.DEFAULT if codec is None else codec.name):
        raise DirtyProtocolError(f"A message by the codec {packed.codec!r}, which is not this call's")
    if codec is not None:
        return codec.load(packed.body, packed.buffers)
    return _codec.decode(packed.body, packed.buffers)[0]


@dataclass(slots=True)
class Parcel:
    """One call."""

    id: int
    app: str
    action: str
    arguments: Packed
    """The positional and the named ones."""
    place: int | str | None = None
    """Which argument is the input stream: its position or its name."""
    deadline_ns: int = 0
    """CLOCK_MONOTONIC nanoseconds, so on this machine only; 0: none."""
    priority: int = 4
    attempt: int = 1
    collect: bool = False
    """The chunks of a stream are wanted as one list."""
    trace: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> Parcel:
        """The parcel for a planned call. Raises as `pack` does."""
        place, args, kwargs = without_feed(plan.args, plan.kwargs)
        return cls(
            plan.id, plan.app, plan.action, pack((args, kwargs), plan.codec, plan.limit), place, plan.deadline,
            plan.priority, plan.attempt, bool(plan.flags & COLLECT), plan.options.trace or {},
        )  # fmt: skip

    def left(self) -> float | None:
        """Seconds until the deadline, below 0 after it; None: there is none."""
        return None if not self.deadline_ns else (self.deadline_ns - time.monotonic_ns()) / 1e9


def without_feed(args: Any, kwargs: dict[str, Any]) -> tuple[int | str | None, Any, dict[str, Any]]:
    """Where the input stream belongs among the arguments, and they with None in its place."""
    for index, value in enumerate(args):
        if type(value) is Feed:
            return index, (*args[:index], None, *args[index + 1 :]), kwargs
    for name, value in kwargs.items():
        if type(value) is Feed:
            return name, args, {**kwargs, name: None}
    return None, args, kwargs


def with_feed(
    place: int | str | None, args: Any, kwargs: dict[str, Any], feed: Any
) -> tuple[Any, dict[str, Any]]:
    """The arguments, with the input stream where it belongs."""
    if isinstance(place, int):
        return [*args[:place], feed, *args[place + 1 :]], kwargs
    return args, kwargs if place is None else {**kwargs, place: feed}
