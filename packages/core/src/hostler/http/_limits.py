"""Limits that protocols count against; the numbers and their precedents are documented with the settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in octets; 0 means no limit where a limit may be left out."""

    request_line: int = 8190
    field: int = 8190
    fields: int = 100
    head: int = 65536
    body: int = 1 << 30
    chunk_line: int = 256
    chunk_extensions: int = 16384
    read_ahead: int = 65536
    """Octets of body or pipelined requests kept before reading stops."""
