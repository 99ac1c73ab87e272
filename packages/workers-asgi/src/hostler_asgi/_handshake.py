"""The opening handshake of a WebSocket (RFC 6455 section 4.2, RFC 8441): what is refused, what is answered."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

from hostler.plugin import Connection, Head
from websockets.exceptions import InvalidHandshake
from websockets.extensions import Extension

from hostler_asgi._errors import MessageError, octets
from hostler_asgi._frames import negotiate

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True)
class Refusal:
    """An answer without the application."""

    status: int
    text: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


PLAIN = ((b"content-type", b"text/plain; charset=utf-8"),)
FORBIDDEN = Refusal(403, b"Forbidden\n")
INTERNAL_ERROR = Refusal(500, b"Internal Server Error\n")


class Denial:
    """An HTTP response that the application sends instead of accepting; its head goes with the first octets."""

    __slots__ = ("_begun", "_connection", "_stream", "headers", "status")

    def __init__(self, connection: Connection, stream: int, message: Any) -> None:
        status = message["status"]
        if not isinstance(status, int) or not 200 <= status <= 999:
            raise MessageError(f"{status!r} is not the status of a final response")
        self.status = status
        self.headers = [(octets(name), octets(value)) for name, value in message.get("headers", ())]
        self._connection = connection
        self._stream = stream
        self._begun = False

    def body(self, message: Any) -> tuple[int, bool]:
        """Send octets; how many, and whether more follow."""
        block, more = octets(message.get("body", b"")), bool(message.get("more_body", False))
        if not self._begun:
            length = None if more else len(block)
            self._connection.start(self._stream, self.status, self.headers, length=length)
            self._begun = True
        self._connection.data(self._stream, block)
        return len(block), more


class Opening:
    """What the client asked for."""

    __slots__ = ("_key", "offers", "subprotocols")

    def __init__(self, head: Head) -> None:
        self._key = b""
        self.offers: list[bytes] = []
        self.subprotocols: list[str] = []
        for name, value in head.headers:
            if name == b"sec-websocket-protocol":
                self.subprotocols += [
                    part.strip().decode("latin-1") for part in value.split(b",") if part.strip()
                ]
            elif name == b"sec-websocket-extensions":
                self.offers.append(value)

    def refuse(self, head: Head) -> Refusal | None:
        """Why this request opens no WebSocket, or None."""
        versions = [value for name, value in head.headers if name == b"sec-websocket-version"]
        if versions != [b"13"]:
            return Refusal(426, b"Upgrade Required\n", ((b"sec-websocket-version", b"13"),))
        if head.http_version == "2":
            return None
        if head.method != "GET" or head.http_version != "1.1" or head.length or head.chunked:
            return Refusal(400, b"Bad Request\n")
        keys = [value for name, value in head.headers if name == b"sec-websocket-key"]
        if len(keys) != 1 or not _is_nonce(keys[0]):
            return Refusal(400, b"Bad Request\n")
        self._key = keys[0]
        return None

    def accept(
        self, subprotocol: str | None, headers: list[tuple[bytes, bytes]], *, deflate: bool
    ) -> tuple[list[tuple[bytes, bytes]], list[Extension]]:
        """The fields of the answer, and the extensions in force."""
        out = list(headers)
        for name, _ in headers:
            if name.lower().startswith(b"sec-websocket-"):
                raise MessageError(f"websocket.accept: the field {name.decode('latin-1')} is the server's")
        if subprotocol is not None:
            if subprotocol not in self.subprotocols:
                raise MessageError(
                    f"websocket.accept: the client did not offer the subprotocol {subprotocol!r}"
                )
            out.append((b"sec-websocket-protocol", subprotocol.encode("latin-1")))
        extensions: list[Extension] = []
        if deflate and self.offers:
            try:
                answer, extensions = negotiate(self.offers)
            except InvalidHandshake:
                answer = ""  # an offer that cannot be read is an offer that is not accepted
            if answer:
                out.append((b"sec-websocket-extensions", answer.encode("latin-1")))
        if self._key:
            digest = hashlib.sha1(self._key + _GUID, usedforsecurity=False).digest()
            out.append((b"sec-websocket-accept", base64.b64encode(digest)))
        return out, extensions


def _is_nonce(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False
