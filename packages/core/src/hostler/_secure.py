"""TLS on one accepted socket, in the words that the driver uses for every socket.

Imported for listeners that speak TLS only: a worker without them does not pay for OpenSSL. "Not now" is
`BlockingIOError`, as with a plain socket, so that nothing else has to know `ssl`.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from hostler._poll import READ, WRITE


class SecureSocket:
    """An `ssl.SSLSocket` on a non-blocking socket."""

    __slots__ = ("_tls", "close", "fileno", "getsockname", "pending", "shutdown")

    def __init__(self, context: ssl.SSLContext, sock: socket.socket) -> None:
        # The context was made before a library of greenlets may have replaced these classes, and they work
        # only with their own kind.
        context.sslsocket_class = ssl.SSLSocket
        self._tls = tls = ssl.SSLContext.wrap_socket(
            context, sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        self.close, self.fileno, self.getsockname = tls.close, tls.fileno, tls.getsockname
        self.pending, self.shutdown = tls.pending, tls.shutdown

    def shake(self) -> int:
        """Go on: what to wait for (READ, WRITE), or 0 when it is done. Raises OSError or ValueError."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return READ
        except ssl.SSLWantWriteError:
            return WRITE
        return 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Decrypted octets; b"" at the end."""
        try:
            return self._tls.recv(size, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def send(self, data: Any) -> int:
        """How many octets were taken. What was not must be offered again from its beginning."""
        try:
            return self._tls.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def protocol(self) -> str:
        """What ALPN chose; "" without."""
        return self._tls.selected_alpn_protocol() or ""

    def describe(self) -> dict[str, Any]:
        """What the handshake says, under the names that Apache's mod_ssl made common."""
        tls = self._tls
        extra: dict[str, Any] = {"HTTPS": "on"}
        cipher = tls.cipher()
        if cipher is not None:
            extra["SSL_CIPHER"], extra["SSL_PROTOCOL"] = cipher[0], tls.version() or ""
        certificate = tls.getpeercert(binary_form=True)
        if certificate is None:
            extra["SSL_CLIENT_VERIFY"] = "NONE"
            return extra
        extra["SSL_CLIENT_VERIFY"] = "SUCCESS"
        extra["SSL_CLIENT_CERT"] = ssl.DER_cert_to_PEM_cert(certificate)
        subject: Any = (tls.getpeercert() or {}).get("subject", ())
        extra["SSL_CLIENT_S_DN"] = ",".join(f"{name}={value}" for rdn in subject for name, value in rdn)
        return extra
