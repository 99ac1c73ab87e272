"""The characters that RFC 9110 allows in tokens, field values and Host, as compiled expressions.

Every expression is one character class under one repetition: none can backtrack.
"""

from __future__ import annotations

import re

TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
"""RFC 9110 section 5.6.2."""

token = re.compile(rb"[" + TCHAR + rb"]+").fullmatch
CONTROLS = bytes([*range(9), *range(10, 32), 127])
"""What no field value may hold: C0 but HTAB, and DEL (RFC 9110 section 5.5)."""
digits = re.compile(rb"[0-9]{1,19}").fullmatch
"""A Content-Length (RFC 9110 section 8.6), before its magnitude is looked at."""
host = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*)"
    rb"(?::[0-9]{0,5})?"
).fullmatch
"""uri-host with an optional port (RFC 9110 section 7.2, RFC 3986 section 3.2.2)."""
plain_name = re.compile(rb"[0-9A-Za-z\-]+").fullmatch
"""Field names that no two spellings of can become one environ key."""

LARGEST = (1 << 63) - 1
"""The largest length or chunk size: what a signed 64-bit number holds."""


def has_controls(value: bytes) -> bool:
    """A control character stands in the value. (One pass in C; a regular expression takes three times as long.)"""
    return len(value.translate(None, CONTROLS)) != len(value)


def length_of(value: bytes) -> int | None:
    """A Content-Length's number, or None when it is none that every recipient reads alike."""
    if digits(value) is None:
        return None
    number = int(value)
    return number if number <= LARGEST else None


def tokens_of(value: bytes) -> list[bytes]:
    """The lower-case elements of a comma-separated list, empty ones left out (RFC 9110 section 5.6.1)."""
    return [part for element in value.split(b",") if (part := element.strip(b" \t").lower())]
