"""HTTP/1.0 and HTTP/1.1 (RFC 9112) as a plugin of the core's own."""

from hostler._values import ProtocolType

protocol = ProtocolType(
    name="http1",
    open="hostler.http1._opening:open_connection",
    summary="HTTP/1.0 and HTTP/1.1",
    ids=("h1",),
    alpn=("http/1.1",),
    schemes=("http", "https"),
)
