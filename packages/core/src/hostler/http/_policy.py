"""What is made of header fields: which are dropped, refused or trusted, in one place for every protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Policy:
    """The listener's rules for fields, made once from its settings."""

    header_map: str = "drop"
    """Names with characters other than letters, digits and "-": drop, refuse (400) or dangerous (keep)."""
    forwarder_headers: frozenset[bytes] = frozenset({b"script_name", b"path_info"})
    secure_scheme_headers: Mapping[bytes, bytes] = field(
        default_factory=lambda: {
            b"x-forwarded-protocol": b"ssl",
            b"x-forwarded-proto": b"https",
            b"x-forwarded-ssl": b"on",
        }
    )
    forwarded_allow: tuple[str, ...] = ("127.0.0.1", "::1")
    """Peers whose forwarding fields are believed: addresses, networks, "*", "unix"."""
    forwarded_for: bool = True
    """The client's address is taken from the forwarding fields of trusted peers."""
    strip_forwarded: bool = False
    """Drop the forwarding fields of peers that are not trusted."""
    proxy_protocol: str = "off"
    """off, v1, v2 or auto."""
    proxy_allow: tuple[str, ...] = ("127.0.0.1", "::1")
    gateway_allow: tuple[str, ...] = ("127.0.0.1", "::1", "unix")
    """Peers that may speak a gateway protocol (uWSGI)."""
    permit_obsolete_folding: bool = False
    strip_header_spaces: bool = False
    permit_unconventional_http_method: bool = False
    permit_unconventional_http_version: bool = False
    casefold_http_method: bool = False
    server_header: bytes = b"hostler"
    """The value of the Server field; empty: none is sent."""
