"""The head of a request as a value, the same whichever protocol brought it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Headers = Sequence[tuple[bytes, bytes]]
"""Field lines in the order of the wire: (name, value). Request names are lower-case."""

Address = tuple[str, int]
"""Host and port; a Unix socket's address is its path (or "") with port 0."""


class Head:
    """Method, target and fields of one request (RFC 9110 section 6.3), after all header policy was applied.

    A head is immutable by agreement: a connection may hand out the same object for two requests whose
    bytes are the same. `basis` belongs to the application adapter, which may keep there what it made of
    this head (an `environ`, a scope) for the next request that has the same one.
    """

    __slots__ = (
        "basis",
        "chunked",
        "client",
        "expects_continue",
        "headers",
        "http_version",
        "length",
        "method",
        "path",
        "query",
        "scheme",
        "script_name",
        "target",
        "trailers_welcome",
        "upgrade",
        "variables",
    )

    def __init__(
        self,
        *,
        method: str,
        target: bytes,
        path: bytes,
        query: bytes,
        http_version: str,
        headers: tuple[tuple[bytes, bytes], ...],
        length: int | None = 0,
        chunked: bool = False,
        scheme: str = "http",
        client: Address | None = None,
        script_name: bytes = b"",
        expects_continue: bool = False,
        upgrade: bytes = b"",
        trailers_welcome: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.method = method
        """Upper case, as sent otherwise."""
        self.target = target
        """The request target as received (RFC 9112 section 3.2)."""
        self.path = path
        """The target's path, still percent-encoded; of an absolute-form target only its path."""
        self.query = query
        """Without the question mark, still encoded."""
        self.http_version = http_version
        """`"1.0"`, `"1.1"` or `"2"`."""
        self.headers = headers
        self.length = length
        """Octets of the body: 0 when there is none, None when only its end tells."""
        self.chunked = chunked
        self.scheme = scheme
        """`"http"` or `"https"`: the transport's, or what a trusted peer said."""
        self.client = client
        """The client that a trusted peer named (Forwarded fields, PROXY); None: the socket's peer."""
        self.script_name = script_name
        """A mount point that a trusted peer named, percent-decoded."""
        self.expects_continue = expects_continue
        self.upgrade = upgrade
        """`b"websocket"` when the client asks for it by upgrade or extended CONNECT, else empty."""
        self.trailers_welcome = trailers_welcome
        """The request carried `TE: trailers`."""
        self.variables = variables
        """What a gateway protocol (uWSGI) sent beside the fields: CGI variables, text as Latin-1."""
        self.basis: Any = None

    def __repr__(self) -> str:
        return f"<Head {self.method} {self.target!r} HTTP/{self.http_version}>"
