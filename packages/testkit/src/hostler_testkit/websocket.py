"""A raw WebSocket client: frames out, frames in, over a peer that the test holds in its hand (RFC 6455).

It hides nothing: a ping is a frame like any other, and what a test sends need not be right.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from hostler_testkit.client import Answer, NoAnswer, Peer, message

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
"""The first octet of a frame that is a whole message."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(first: int, payload: bytes = b"", mask: bytes | None = b"\x37\xfa\x21\x3d") -> bytes:
    """The octets of a client's frame; without a mask it is one that no client may send."""
    size, flag = len(payload), 0 if mask is None else 0x80
    if size < 126:
        head = struct.pack("!BB", first, flag | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, flag | 126, size)
    else:
        head = struct.pack("!BBQ", first, flag | 127, size)
    if mask is None:
        return head + payload
    return head + mask + bytes(octet ^ mask[place & 3] for place, octet in enumerate(payload))


def opening(target: str, headers: Iterable[tuple[str, str]] = (), version: str = "13") -> tuple[bytes, bytes]:
    """The octets of an opening request, and the key that it carries."""
    key = base64.b64encode(os.urandom(16)).decode()
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Key", key)]
    fields += [("Sec-WebSocket-Version", version), *headers]
    return message(target=target, headers=fields), key.encode()


class WebSocket:
    """An open WebSocket; `answer` is the head of the server's handshake."""

    def __init__(self, peer: Peer, target: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.peer = peer
        octets, key = opening(target, headers)
        peer.send(octets)
        self._kept = b""
        while b"\r\n\r\n" not in self._kept:
            self._more()
        head, _, self._kept = self._kept.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        fields = [tuple(part.strip() for part in line.split(b":", 1)) for line in lines]
        self.answer = Answer(
            int(status.split(b" ")[1]), b"", b"1.1", [(name.lower(), value) for name, value in fields], b""
        )
        assert self.answer.status == 101, head
        digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
        assert self.answer.get("sec-websocket-accept") == base64.b64encode(digest)

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.peer.close()

    def _more(self) -> None:
        block = self.peer.receive()
        if not block:
            raise NoAnswer("the server closed the connection", self._kept)
        self._kept += block

    def _take(self, count: int) -> bytes:
        while len(self._kept) < count:
            self._more()
        taken, self._kept = self._kept[:count], self._kept[count:]
        return taken

    def send(self, first: int, payload: bytes = b"", mask: bytes | None = b"\x37\xfa\x21\x3d") -> None:
        """Write a frame."""
        self.peer.send(frame(first, payload, mask))

    def receive(self) -> tuple[int, bytes]:
        """First octet and payload of the server's next frame."""
        first, size = self._take(2)
        assert not size & 0x80, "a server masks nothing"
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        return first, self._take(size)

    def text(self) -> str:
        """The next message, which is text in one frame."""
        first, payload = self.receive()
        assert first == TEXT, (first, payload)
        return payload.decode()

    def told(self) -> Any:
        """The next message as JSON."""
        return json.loads(self.text())

    def closed(self) -> int:
        """The code of the close that comes next; 1005 without one."""
        first, payload = self.receive()
        assert first == CLOSE, (first, payload)
        return int.from_bytes(payload[:2], "big") if payload else 1005
