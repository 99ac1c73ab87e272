"""The PROXY protocol: both versions, at every split, and what must be refused."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

import pytest
from hostler.http import Policy, ProtocolError, ProxyReader, Transport, TrustList, proxy_expected
from hostler.http._proxy import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + struct.pack("!HH", 56324, 443)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") * 2 + struct.pack("!HH", 56324, 443)


def second(body: bytes, command: int = 0x21, family: int = 0x11, size: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if size is None else size) + body


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def checked(body: bytes) -> bytes:
    whole = second(body + tlv(3, bytes(4)))
    return whole[:-4] + struct.pack("!I", crc32c(whole))


GOOD = {
    "tcp4": (b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", ("192.0.2.1", 56324)),
    "tcp6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", ("2001:db8::1", 1)),
    "unknown": (b"PROXY UNKNOWN\r\n", None),
    "unknown with more": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    "longest": (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", None),
    "v2 tcp4": (second(V4), ("192.0.2.1", 56324)),
    "v2 udp4": (second(V4, family=0x12), ("192.0.2.1", 56324)),
    "v2 tcp6": (second(V6, family=0x21), ("2001:db8::1", 56324)),
    "v2 unix": (second(bytes(216), family=0x31), None),
    "v2 unspecified": (second(b"", family=0x00), None),
    "v2 local": (second(b"", command=0x20, family=0x00), None),
    "v2 local with junk": (second(b"junk", command=0x20), None),
    "v2 tlvs": (second(V4 + tlv(1, b"h2") + tlv(4, b"")), ("192.0.2.1", 56324)),
    "v2 checksum": (checked(V4 + tlv(1, b"h2")), ("192.0.2.1", 56324)),
}
BAD = {
    "http": b"GET / HTTP/1.1\r\n",
    "lower case": b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
    "family": b"PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n",
    "address": b"PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n",
    "other address": b"PROXY TCP4 1.1.1.1 1.1.1.256 1 1\r\n",
    "family differs": b"PROXY TCP4 ::1 ::1 1 1\r\n",
    "port": b"PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n",
    "other port": b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n",
    "port with zero": b"PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
    "port with sign": b"PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
    "two spaces": b"PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
    "trailing space": b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n",
    "bare lf": b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n",
    "bare cr": b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\rx",
    "too long": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "endless": b"PROXY UNKNOWN " + b"x" * 200,
    "v2 version": second(V4, command=0x11),
    "v2 command": second(V4, command=0x22),
    "v2 family": second(V4, family=0x41),
    "v2 transport": second(V4, family=0x13),
    "v2 too long": second(V4, size=2049),
    "v2 short block": second(V4[:-1]),
    "v2 short block 6": second(V4, family=0x21),
    "v2 cut tlv": second(V4 + b"\x01\x00"),
    "v2 long tlv": second(V4 + b"\x01\x00\x05abc"),
    "v2 checksum wrong": checked(V4)[:-1] + b"\x00",
    "v2 checksum size": second(V4 + tlv(3, b"abc")),
    "v2 broken signature": b"\r\n\r\n\x00\r\nQUIT\r",
}


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("name", GOOD)
def test_good(name: str) -> None:
    raw, address = GOOD[name]
    for cut in range(len(raw) + 1):
        reader = ProxyReader("auto")
        rest = reader.feed(raw[:cut]) if cut else None
        if rest is None:
            assert cut < len(raw)
            rest = reader.feed(raw[cut:] + b"rest")
            assert rest == b"rest"
        assert reader.address == address
    reader = ProxyReader("auto")
    rests = [reader.feed(raw[place : place + 1]) for place in range(len(raw))]
    assert rests == [None] * (len(raw) - 1) + [b""]


def octet_by_octet(raw: bytes) -> None:
    reader = ProxyReader("auto")
    for place in range(len(raw)):
        assert reader.feed(raw[place : place + 1]) is None


@pytest.mark.parametrize("name", BAD)
def test_bad(name: str) -> None:
    raw = BAD[name]
    with pytest.raises(ProtocolError) as error:
        ProxyReader("auto").feed(raw)
    assert error.value.kind == "proxy_bad"
    with pytest.raises(ProtocolError):
        octet_by_octet(raw)


def test_modes() -> None:
    for mode, raw in (("v1", GOOD["v2 tcp4"][0]), ("v2", GOOD["tcp4"][0])):
        with pytest.raises(ProtocolError):
            ProxyReader(mode).feed(raw)
    assert ProxyReader("v1").feed(GOOD["tcp4"][0]) == b""
    assert ProxyReader("v2").feed(GOOD["v2 tcp4"][0]) == b""


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda tail: SIGNATURE + b"\x21\x11" + tail))
)
def test_any_bytes(raw: bytes) -> None:
    reader = ProxyReader("auto")
    with suppress(ProtocolError):
        rest = reader.feed(raw)
        assert rest is None or raw.endswith(rest)


def test_who_must_send_it() -> None:
    proxy, stranger = Transport(("127.0.0.1", 1), None), Transport(("203.0.113.1", 1), None)
    policy = Policy(proxy_protocol="auto")
    trust = TrustList(policy.proxy_allow)
    assert proxy_expected(policy, trust, proxy)
    assert not proxy_expected(policy, trust, stranger)
    assert not proxy_expected(Policy(), trust, proxy)
