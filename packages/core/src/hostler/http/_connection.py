"""The contract of a protocol: one accepted connection as a value (sans-IO)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hostler.http._events import Event, Waiting
from hostler.http._head import Address, Headers
from hostler.http._limits import Limits
from hostler.http._policy import Policy


@dataclass(slots=True)
class Transport:
    """What a connection may know of the socket under it. Immutable by agreement, as every connection makes one."""

    peer: Address | None
    """The socket's peer; for a Unix socket ("", 0)."""
    local: Address | None
    """The socket's own address."""
    unix: bool = False
    secure: bool = False
    """TLS is spoken below this connection."""
    protocol: str = ""
    """What ALPN chose, empty without."""


@dataclass(slots=True)
class Opening:
    """Everything a protocol gets to open a connection with. Immutable by agreement."""

    transport: Transport
    limits: Limits
    policy: Policy
    max_requests: int = 1000
    """Requests that this connection may carry before it is asked to end; 0: any number."""
    keepalive: bool = True
    """False: every answer ends its connection."""
    settings: Any = None
    """The plugin's own settings, an instance of the class that its `ProtocolType` carries."""
    tunnels: bool = False
    """The worker can carry tunnels (WebSocket) over this protocol."""
    shared: dict[str, Any] = field(default_factory=dict)
    """A place that all connections of one listener and protocol in one worker share (caches)."""


class Connection(Protocol):
    """Bytes in, events out; actions in, bytes out. Never blocks, sleeps or reads a clock.

    `stream` numbers the requests of a connection, in HTTP/1 counted from 1. The driver calls `outgoing()`
    after each round of calls and writes what it returns; when `closing` is true and all is written it
    closes the connection (with a bounded linger unless `abrupt`).
    """

    waiting: Waiting
    reading: bool
    """The driver should go on reading: False gives back pressure to the peer."""
    closing: bool
    """No further byte of the peer matters: flush `outgoing()` and close."""
    abrupt: bool
    """Close without the linger that lets the peer read an answer (nothing was answered)."""
    multiplexed: bool
    """Several requests may be in service at once."""
    held: bool
    """Bytes received earlier were kept back and can go on now (a pipelined request after `end`, credit after
    `taken`): the driver calls `resume()`."""

    def receive(self, data: bytes) -> Sequence[Event]:
        """Take bytes of the peer; `b""` means that it has finished sending. Never raises for bad input."""

    def resume(self) -> Sequence[Event]:
        """Go on with the bytes kept back; the driver calls it after a round of actions while `held` is true."""

    def expire(self) -> Sequence[Event]:
        """The deadline of `waiting` has passed: queue the answer (408, GOAWAY, nothing) and tell what is gone."""

    def inform(self, stream: int, status: int, headers: Headers = ()) -> None:
        """Send an interim response (1xx); does nothing where the peer could not read it (HTTP/1.0).

        Raises `ResponseError` for a field that cannot be sent and after `start`.
        """

    def start(
        self, stream: int, status: int, headers: Headers, *, length: int | None = None, reason: bytes = b""
    ) -> None:
        """Send the final head. `length`: octets of the body when the adapter knows it and no field says so.

        The connection adds Date, Server, framing and connection fields. Raises `ResponseError` for a name,
        value or reason with CR, LF or NUL, a hop-by-hop field, or a second start.
        """

    def data(self, stream: int, block: bytes) -> None:
        """Send octets of the body; what exceeds Content-Length is cut. A no-op on a stream that is gone."""

    def overrun(self, stream: int) -> int:
        """Octets of the body that were cut since `start` because Content-Length had no room for them."""

    def end(self, stream: int, trailers: Headers = ()) -> None:
        """The answer is complete. A body shorter than Content-Length ends the connection (HTTP/2: the stream)."""

    def respond(
        self, stream: int, status: int, headers: Headers, body: bytes, reason: bytes, trailers: Headers = ()
    ) -> None:
        """The whole answer at once: what `start` with the body's length, `data` and `end` do one after the other."""

    def abort(self, stream: int) -> None:
        """The answer cannot be completed: make sure that the peer sees it is broken."""

    def taken(self, stream: int, count: int) -> None:
        """The application has consumed `count` octets of the body: give credit back, send a due 100 (Continue)."""

    def proceed(self, stream: int) -> None:
        """The application wants the body now: a client that waits for 100 (Continue) is told so."""

    def backlog(self, stream: int) -> int:
        """Octets written but not yet allowed out by flow control; 0 in HTTP/1."""

    def beside(self, stream: int, count: int) -> bool:
        """After `start`: `count` body octets will be written by the driver itself (sendfile). False: it must not."""

    def tunnel(self, stream: int, headers: Headers) -> None:
        """Accept an upgrade (101, or 200 to an extended CONNECT): from now on data goes both ways unframed."""

    def drain(self) -> None:
        """A graceful stop began: finish what is in service, then close (`Connection: close`, GOAWAY)."""

    def outgoing(self) -> list[bytes]:
        """What is to be written now; each call empties the queue.

        One that is multiplexed may give less than it has: the driver calls again once these octets are written,
        until there are none.
        """
