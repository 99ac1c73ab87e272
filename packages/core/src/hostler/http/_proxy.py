"""The PROXY protocol, versions 1 and 2, as a reader: who the client of a proxied connection is.

Reads the first bytes of a connection, below TLS and HTTP, from peers that must send them; whether a peer
must is `proxy_expected`. Source: the HAProxy project's PROXY protocol specification, sections 2.1 and 2.2.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Final, NoReturn

from hostler.http._connection import Transport
from hostler.http._errors import ProtocolError
from hostler.http._head import Address
from hostler.http._policy import Policy
from hostler.http._trust import TrustList

_LINE_LIMIT: Final = 107
"""The longest line of version 1, CRLF included."""
_BLOCK_LIMIT: Final = 2048
"""Addresses and TLVs of version 2; what proxies send is far below."""
_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [ -~]*)?"
    rb"|(TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))"
).fullmatch
_SIZES: Final = {0: 0, 1: 12, 2: 36, 3: 216}
"""Address family -> octets of its address block."""
_CRC32C: Final = 0x03


def proxy_expected(policy: Policy, trust: TrustList, transport: Transport) -> bool:
    """This peer must begin with a PROXY header; every other peer must not. `trust` is of `policy.proxy_allow`."""
    return policy.proxy_protocol != "off" and trust.trusts(transport)


class ProxyReader:
    """Takes the first bytes of one connection until the header is complete.

    `mode` is `v1`, `v2` or `auto`. `address` is None when the header keeps the socket's address (UNKNOWN, LOCAL).
    """

    __slots__ = ("_bytes", "_mode", "address")

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._bytes = b""
        self.address: Address | None = None

    def feed(self, data: bytes) -> bytes | None:
        """What followed the header; None while it is incomplete.

        Raises `ProtocolError` (kind `proxy_bad`): close without an answer.
        """
        # Bounded by the limits below, so joining is cheap however the bytes were split.
        self._bytes += data
        block = self._bytes
        second = _SIGNATURE.startswith(block[:12]) or block.startswith(_SIGNATURE)
        if second and self._mode != "v1":
            return self._second(block)
        if self._mode == "v2" or not b"PROXY ".startswith(block[:6]):
            _refuse("no PROXY header where one was due")
        return self._first(block)

    def _first(self, block: bytes) -> bytes | None:
        end = block.find(b"\r\n", 0, _LINE_LIMIT)
        if end < 0:
            if len(block) >= _LINE_LIMIT or b"\n" in block or b"\r" in block[:-1]:
                _refuse("a PROXY line that does not end in time")
            return None
        match = _LINE(block[:end])
        if match is None:
            _refuse("a malformed PROXY line")
        if match[1] is not None:
            family = ipaddress.IPv4Address if match[1] == b"TCP4" else ipaddress.IPv6Address
            try:
                source = family(match[2].decode("ascii"))
                family(match[3].decode("ascii"))
            except ValueError:
                _refuse("a PROXY line with an address that is none")
            port, other = int(match[4]), int(match[5])
            if port > 65535 or other > 65535:
                _refuse("a PROXY line with a port that is none")
            self.address = (str(source), port)
        return block[end + 2 :]

    def _second(self, block: bytes) -> bytes | None:
        if len(block) < 16:
            return None
        command, family, size = struct.unpack_from("!BBH", block, 12)
        if command not in (0x20, 0x21):
            _refuse("a PROXY header of another version or command")
        if size > _BLOCK_LIMIT:
            _refuse("a PROXY header that is too long")
        if family >> 4 not in _SIZES or family & 0x0F > 2:
            _refuse("a PROXY header of an unknown family")
        needed = _SIZES[family >> 4]
        if command == 0x21 and size < needed:
            _refuse("a PROXY header that is shorter than its addresses")
        if len(block) < 16 + size:
            return None
        header = block[: 16 + size]
        _check_tlvs(header, 16 + min(needed, size) if command == 0x21 else 16 + size)
        if command == 0x21:
            self.address = _source(family >> 4, header)
        return block[16 + size :]


def _refuse(reason: str) -> NoReturn:
    raise ProtocolError(400, "proxy_bad", reason)


def _source(family: int, header: bytes) -> Address | None:
    if family == 1:
        return str(ipaddress.IPv4Address(header[16:20])), int.from_bytes(header[24:26], "big")
    if family == 2:
        return str(ipaddress.IPv6Address(header[16:32])), int.from_bytes(header[48:50], "big")
    return None


def _check_tlvs(header: bytes, position: int) -> None:
    """Every TLV lies inside the header, and a checksum among them is right."""
    while position < len(header):
        if position + 3 > len(header):
            _refuse("a PROXY header with a cut TLV")
        kind, size = struct.unpack_from("!BH", header, position)
        start, position = position + 3, position + 3 + size
        if position > len(header):
            _refuse("a PROXY header with a TLV that is longer than it")
        if kind == _CRC32C:
            zeroed = header[:start] + bytes(size) + header[position:]
            if size != 4 or crc32c(zeroed) != int.from_bytes(header[start:position], "big"):
                _refuse("a PROXY header whose checksum is wrong")


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum (RFC 9260 appendix A), bit by bit: headers are short and checksums rare."""
    value = 0xFFFFFFFF
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF
