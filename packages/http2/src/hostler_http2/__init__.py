"""HTTP/2 for hostler (RFC 9113) as a plugin of the group `hostler.protocols`. Light: the frames load when served."""

from __future__ import annotations

from hostler.plugin import ProtocolType

from hostler_http2._settings import Http2Settings

protocol = ProtocolType(
    name="http2",
    open="hostler_http2._connection:open_connection",
    summary="HTTP/2 over TLS, and in clear text by prior knowledge when asked",
    ids=("h2",),
    alpn=("h2",),
    schemes=("http", "https"),
    preface=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    cleartext="cleartext",
    settings=Http2Settings,
    multiplexing=True,
)

__all__ = ["Http2Settings", "protocol"]
