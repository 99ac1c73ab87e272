"""The scope of a request (ASGI HTTP 2.5, WebSocket 2.5), made from its head.

What depends only on the head is made once and kept at `head.basis`; what an application or a middleware may
write to (`asgi`, `extensions`, `headers`, `state`) is new for every request. Knows no message and no socket.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from hostler.plugin import Address, Head, Transport

SPEC_VERSION = "2.5"
"""Of the HTTP and WebSocket message formats; 2.4 and later promise that `send` raises after a disconnect."""


class Scopes:
    """Makes the scopes of one connection."""

    __slots__ = ("_client", "_extensions_tls", "_root_path", "_server", "_state")

    def __init__(
        self,
        transport: Transport,
        address: Address,
        state: dict[str, Any],
        root_path: str,
        tls: dict[str, Any] | None,
    ) -> None:
        self._state = state
        self._root_path = root_path
        self._extensions_tls = tls
        peer = transport.peer
        self._client = None if transport.unix or peer is None else peer
        self._server: tuple[str, int | None] = (
            (address[0], None) if transport.unix else transport.local or address
        )

    def http(self, head: Head) -> dict[str, Any]:
        """The scope of an HTTP request."""
        basis = head.basis
        if basis is None:
            basis = head.basis = self._make(head)
        scope: dict[str, Any] = basis.copy()
        scope["asgi"] = {"version": "3.0", "spec_version": SPEC_VERSION}
        scope["headers"] = list(head.headers)
        scope["client"] = head.client or self._client
        scope["server"] = self._server
        scope["state"] = self._state.copy()
        extensions: dict[str, Any] = {"http.response.pathsend": {}, "http.response.zerocopysend": {}}
        if head.http_version != "1.0":
            extensions["http.response.early_hint"] = {}
            extensions["http.response.trailers"] = {}
        if head.http_version == "2":
            # gunicorn's; RFC 9113 deprecates what a client may say of it, and these are the defaults of RFC 7540.
            extensions["http.response.priority"] = {"weight": 16, "depends_on": 0}
        if self._extensions_tls is not None:
            extensions["tls"] = self._extensions_tls.copy()
        if head.variables:
            extensions["hostler.gateway"] = {"variables": dict(head.variables)}
        scope["extensions"] = extensions
        return scope

    def websocket(self, head: Head, subprotocols: list[str]) -> dict[str, Any]:
        """The scope of a WebSocket's opening request."""
        scope = self._make(head)
        del scope["method"]
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if head.scheme == "https" else "ws"
        scope["asgi"] = {"version": "3.0", "spec_version": SPEC_VERSION}
        scope["headers"] = list(head.headers)
        scope["client"] = head.client or self._client
        scope["server"] = self._server
        scope["subprotocols"] = subprotocols
        scope["state"] = self._state.copy()
        scope["extensions"] = {"websocket.http.response": {}}
        if self._extensions_tls is not None:
            scope["extensions"]["tls"] = self._extensions_tls.copy()
        return scope

    def _make(self, head: Head) -> dict[str, Any]:
        raw = head.path
        root = self._root_path
        if head.script_name:
            root = head.script_name.decode("utf-8", "replace")
        path = (unquote_to_bytes(raw) if b"%" in raw else raw).decode("utf-8", "replace")
        if root and not (path == root or path.startswith(root + "/")):
            path = root + path
        return {
            "type": "http",
            "http_version": head.http_version,
            "method": head.method,
            "scheme": head.scheme,
            "path": path,
            "raw_path": raw,
            "query_string": head.query,
            "root_path": root,
        }
