"""When a certificate is valid, read from its DER (RFC 5280 section 4.1): all that the standard library hides.

Knows just enough ASN.1 to walk to two dates. Refuses to know TLS contexts and settings.
"""

from __future__ import annotations

import binascii
import datetime
import re
from base64 import b64decode

_PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.+?)-----END", re.DOTALL)


def first_in(pem: bytes) -> bytes | None:
    """The DER of the first certificate of a PEM file: the server's own. None when there is none."""
    match = _PEM.search(pem)
    if match is None:
        return None
    try:
        return b64decode(match[1])
    except binascii.Error:
        return None


def validity(der: bytes) -> tuple[datetime.datetime, datetime.datetime]:
    """notBefore and notAfter. Raises `ValueError` for what is not a certificate."""
    try:
        body = _enter(_enter(der, 0)[0], 0)[0]
        position = 0
        if body[0] == 0xA0:  # the version, which old certificates leave out
            position = _enter(body, position)[1]
        for _ in ("serial number", "signature algorithm", "issuer"):
            position = _enter(body, position)[1]
        dates = _enter(body, position)[0]
        second = _enter(dates, 0)[1]
        return _time(dates, 0), _time(dates, second)
    except IndexError:
        raise ValueError("is not a certificate") from None


def _enter(data: bytes, position: int) -> tuple[bytes, int]:
    """The contents of the element at a position, and the position behind it (X.690 section 8.1)."""
    length = data[position + 1]
    start = position + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + length > len(data):
        raise IndexError
    return data[start : start + length], start + length


def _time(data: bytes, position: int) -> datetime.datetime:
    text = _enter(data, position)[0].decode("ascii")
    # UTCTime has years of two digits, and 50 means 1950 (RFC 5280 section 4.1.2.5.1).
    if data[position] == 0x17:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
