"""What a connection tells its driver: five events and what it is waiting for."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from hostler.http._head import Head, Headers

if TYPE_CHECKING:
    from hostler.http._connection import Connection


class Waiting(enum.Enum):
    """What the connection expects from its peer now; the driver owns the clock and applies the deadline."""

    FIRST = "the first byte of a new connection"
    HEAD = "the rest of a request's head"
    BODY = "the rest of a request's body"
    IDLE = "the next request, on a connection that served one"
    NOTHING = "nothing: the application has the word"


class Request:
    """A whole head has come. `ended`: no body follows, and no `End` will be told."""

    __slots__ = ("ended", "head", "stream")

    def __init__(self, stream: int, head: Head, ended: bool) -> None:
        self.stream = stream
        self.head = head
        self.ended = ended

    def __repr__(self) -> str:
        return f"Request({self.stream}, {self.head!r}, ended={self.ended})"


class Data:
    """Octets of a request's body, or of the tunnel that took its place."""

    __slots__ = ("block", "stream")

    def __init__(self, stream: int, block: bytes) -> None:
        self.stream = stream
        self.block = block

    def __repr__(self) -> str:
        return f"Data({self.stream}, {self.block!r})"


class End:
    """The body is complete; `trailers` are its trailer fields, policy applied."""

    __slots__ = ("stream", "trailers")

    def __init__(self, stream: int, trailers: Headers = ()) -> None:
        self.stream = stream
        self.trailers = trailers

    def __repr__(self) -> str:
        return f"End({self.stream}, {self.trailers!r})"


class Gone:
    """A request (or, with stream None, the whole connection) will get no further.

    The answer that the peer deserves, if any, is in `outgoing()` already. `kind` is the word for the log
    line and the counter (`header_timeout`, `bad_request`, …; empty when the peer simply left).
    """

    __slots__ = ("kind", "reason", "stream")

    def __init__(self, stream: int | None, reason: str, kind: str = "") -> None:
        self.stream = stream
        self.reason = reason
        self.kind = kind

    def __repr__(self) -> str:
        return f"Gone({self.stream}, {self.reason!r}, kind={self.kind!r})"


class Switch:
    """The bytes that follow belong to another protocol: the driver rebinds its connection.

    `connection` has been fed with what was received already; `events` are what came of it.
    """

    __slots__ = ("connection", "events")

    def __init__(self, connection: Connection, events: list[Event]) -> None:
        self.connection = connection
        self.events = events


Event = Request | Data | End | Gone | Switch
