"""The body of the request in service, on its way from the peer to the application.

Counts what was told and not yet taken, knows whether the client waits to be asked for it, and how much of
a body that nobody wants has been read.
"""

from __future__ import annotations

from typing import Final

from hostler.http import Head, Headers
from hostler.http1._body import Body

_UNWANTED: Final = 65536
"""Octets of an unwanted body that are read after its answer, so that the connection can go on."""


class Upload:
    """One request's body. `room`: octets that the application may leave untaken before reading stops."""

    __slots__ = ("_body", "_room", "_told", "_unwanted", "due")

    def __init__(self, head: Head, body: Body, room: int) -> None:
        self._body = body
        self._room = room
        self._told = 0
        self._unwanted = 0
        self.due = head.expects_continue
        """The client waits for 100 (Continue) and has sent nothing of the body."""

    @property
    def trailers(self) -> Headers:
        """The trailer fields, once the body is complete."""
        return self._body.trailers

    @property
    def welcome(self) -> bool:
        """The application has room for more."""
        return self._told < self._room

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Content, and what followed the body; None while it is incomplete. Raises `ProtocolError`."""
        self.due = False
        block, rest = self._body.feed(data)
        self._told += len(block)
        return block, rest

    def taken(self, count: int) -> None:
        """The application has consumed octets."""
        self._told -= count

    def skip(self, data: bytes) -> bytes | None:
        """Read on after the answer; what followed the body, or None. Raises `ProtocolError`."""
        _, rest = self._body.feed(data)
        self._unwanted += len(data) - len(rest or b"")
        return rest

    @property
    def too_long(self) -> bool:
        """There is more of it than is worth reading for the sake of the next request."""
        return self._unwanted > _UNWANTED or (self._body.left or 0) > _UNWANTED
