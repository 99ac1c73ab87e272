"""uWSGI packets as bytes: a header of four octets and a list of variables. Knows nothing of what they mean.

Source: the uWSGI project's description of its protocol. All numbers are little-endian::

    modifier1  u8      0: the packet holds request variables
    size       u16     octets of the variables
    modifier2  u8      for modifier1 0 without meaning here
    then, until `size` is used up: u16 length and key, u16 length and value
"""

from __future__ import annotations

import struct
from typing import Final, NoReturn

from hostler.plugin import ProtocolError

HEADER: Final = 4
MAX_VARIABLES: Final = 256
"""nginx's usual parameters are sixteen, a browser's fields some twenty more."""

_length = struct.Struct("<H").unpack_from
_ONCE: Final = frozenset((b"CONTENT_LENGTH", b"REQUEST_METHOD"))


def _refuse(reason: str) -> NoReturn:
    raise ProtocolError(0, "uwsgi_bad", reason)


class UwsgiDecoder:
    """Decodes request packets; everything that is malformed ends the connection without an answer."""

    kind = "uwsgi_bad"

    def size(self, data: bytes | bytearray) -> int | None:
        """Octets of the packet that begins here; None before its header is complete."""
        if data[:1] and data[0] != 0:
            _refuse(f"a packet with modifier1 {data[0]}")
        if len(data) < HEADER:
            return None
        size: int = HEADER + _length(data, 1)[0]
        return size

    def variables(self, packet: bytes) -> dict[bytes, bytes]:
        """The variables of a whole packet; repeated fields are joined, other names keep their last value."""
        found: dict[bytes, bytes] = {}
        position, end, count = HEADER, len(packet), 0
        try:
            while position < end and count <= MAX_VARIABLES:
                count += 1
                start = position + 2
                stop = start + packet[position] + (packet[position + 1] << 8)
                key = packet[start:stop]
                start = stop + 2
                position = start + packet[stop] + (packet[stop + 1] << 8)
                found[key] = packet[start:position]
        except IndexError:
            position = end + 1
        if count > MAX_VARIABLES:
            _refuse(f"a packet with more than {MAX_VARIABLES} variables")
        if position > end:
            _refuse("a variable that is longer than its packet")
        if b"" in found:
            _refuse("a variable without a name")
        return found if count == len(found) else _joined(packet)


def _joined(packet: bytes) -> dict[bytes, bytes]:
    """The variables of a sound packet in which a name stands twice."""
    found: dict[bytes, bytes] = {}
    position = HEADER
    while position < len(packet):
        key, position = _text(packet, position)
        value, position = _text(packet, position)
        if key in found:
            if key in _ONCE:
                _refuse(f"a packet with two of {key.decode('ascii')}")
            if key[:5] == b"HTTP_":
                value = found[key] + (b"; " if key == b"HTTP_COOKIE" else b", ") + value
        found[key] = value
    return found


def _text(packet: bytes, position: int) -> tuple[bytes, int]:
    start = position + 2
    stop: int = start + _length(packet, position)[0]
    return packet[start:stop], stop
