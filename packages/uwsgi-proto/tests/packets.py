"""Packets as nginx builds them."""

from __future__ import annotations

import struct
from collections.abc import Iterable

USUAL = {
    b"QUERY_STRING": b"b=c",
    b"REQUEST_METHOD": b"GET",
    b"CONTENT_TYPE": b"",
    b"CONTENT_LENGTH": b"",
    b"REQUEST_URI": b"/a?b=c",
    b"PATH_INFO": b"/a",
    b"SERVER_PROTOCOL": b"HTTP/1.1",
    b"REMOTE_ADDR": b"192.0.2.7",
    b"REMOTE_PORT": b"4711",
    b"SERVER_PORT": b"80",
    b"SERVER_NAME": b"example.com",
    b"HTTP_HOST": b"example.com",
}


def text(value: bytes) -> bytes:
    return struct.pack("<H", len(value)) + value


def raw(block: bytes, modifier1: int = 0, modifier2: int = 0, size: int | None = None) -> bytes:
    return struct.pack("<BHB", modifier1, len(block) if size is None else size, modifier2) + block


def packed(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    return raw(b"".join(text(key) + text(value) for key, value in pairs))


def packet(**changes: bytes) -> bytes:
    return packed({**USUAL, **{name.encode(): value for name, value in changes.items()}}.items())
