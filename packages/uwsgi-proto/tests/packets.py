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


MALFORMED = {
    "modifier": raw(b"", modifier1=5),
    "an http request": b"GET / HTTP/1.1\r\n\r\n",
    "cut length of a key": raw(b"\x01"),
    "long key": raw(b"\x05\x00ab"),
    "no value": raw(text(b"A")),
    "cut length of a value": raw(text(b"A") + b"\x01"),
    "long value": raw(text(b"A") + b"\x05\x00ab"),
    "key of 65535": raw(b"\xff\xffA"),
    "no name": raw(text(b"") + text(b"x")),
    "two lengths": packed([(b"CONTENT_LENGTH", b"5"), (b"CONTENT_LENGTH", b"5")]),
    "two methods": packed([(b"REQUEST_METHOD", b"GET"), (b"REQUEST_METHOD", b"GET")]),
    "too many": packed([(b"A%d" % number, b"") for number in range(257)]),
    "another modifier, cut": b"\x05",
    "the ping of uWSGI": raw(b"", modifier1=100),
    "an answer": b"HTTP/1.1 200 OK\r\n\r\n",
    "TLS": bytes.fromhex("1603010200010001fc0303"),
    "a length that runs over": raw(b"\xff\xff" + b"A" * 65533),
    "the last value is one short": raw(text(b"A") + text(b"bc"), size=None)[:-1].replace(
        b"\x07\x00", b"\x06\x00", 1
    ),
    "the last value is one long": raw(text(b"A") + b"\x03\x00bc"),
    "only lengths": raw(b"\0" * 12),
    "as many as there is room for": raw((text(b"A") + text(b"")) * 13107),
}
"""Each ends its connection without an answer, with one line in the log."""
