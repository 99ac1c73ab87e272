"""What gateways send, for `hostler-testkit protocol scgi --vectors hostler_scgi.vectors:VECTORS`."""

from __future__ import annotations


def packet(variables: dict[str, str], body: bytes = b"") -> bytes:
    """A request on the wire."""
    block = b"".join(f"{name}\0{value}\0".encode("latin-1") for name, value in variables.items())
    return b"%d:%b,%b" % (len(block), block, body)


GET = {"CONTENT_LENGTH": "0", "SCGI": "1", "REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_HOST": "a"}

VECTORS = {
    "get": packet(GET),
    "post": packet({**GET, "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "5"}, b"hello"),
    "query": packet({**GET, "PATH_INFO": "/a b", "QUERY_STRING": "c=d", "HTTPS": "on"}),
    "not scgi": packet({**GET, "SCGI": "2"}),
    "bad length": packet({**GET, "CONTENT_LENGTH": "+5"}, b"hello"),
    "bad netstring": b"x" + packet(GET),
    "no comma": packet(GET)[:-1] + b";",
    "too large": b"99999999:",
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
}
