"""The ASGI `tls` extension: what the handshake of a connection says about it."""

from __future__ import annotations

import ssl
from typing import Any

_VERSIONS = {"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
_SHORT = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
"""The attribute names of RFC 4514 section 3."""


def own_certificate(context: ssl.SSLContext) -> str | None:
    """The certificate that a server with this context sends, as PEM: what a client in memory gets of it.

    The ssl module cannot be asked. None when a callback chooses by the name that a client wants.
    """
    if context.sni_callback is not None:
        return None
    asks = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asks.check_hostname, asks.verify_mode = False, ssl.CERT_NONE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server, client = context.wrap_bio(there, back, server_side=True), asks.wrap_bio(back, there)
    try:
        for _ in range(3):  # TLS 1.3 takes one exchange, TLS 1.2 two
            if _shook_hands(client):
                break
            _shook_hands(server)
        sent = client.getpeercert(binary_form=True)
    except (ssl.SSLError, ValueError):
        return None  # a context that this client cannot do with
    return ssl.DER_cert_to_PEM_cert(sent) if sent else None


def _shook_hands(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def describe(tls: Any, own: str | None) -> dict[str, Any]:
    """The extension's value for one connection, from its `SSLObject`; `own`: the certificate of its server."""
    cipher = tls.cipher()
    return {
        "server_cert": own,
        "client_cert_chain": _chain(tls),
        "client_cert_name": _name(tls.getpeercert()),
        "client_cert_error": None,  # a certificate that fails its check ends the handshake
        "tls_version": _VERSIONS.get(tls.version() or ""),
        "cipher_suite": _suite(tls.context, cipher[0]) if cipher else None,
    }


def _suite(context: ssl.SSLContext, name: str) -> int | None:
    for known in context.get_ciphers():
        if known["name"] == name:
            return int(known["id"]) & 0xFFFF
    return None


def _chain(tls: Any) -> list[str]:
    """PEM texts, the client's own certificate first; before Python 3.13 only that one can be had."""
    chain = tls.get_verified_chain() if hasattr(tls, "get_verified_chain") else []
    if not chain:
        own = tls.getpeercert(binary_form=True)
        chain = [own] if own else []
    return [ssl.DER_cert_to_PEM_cert(certificate) for certificate in chain]


def _name(certificate: Any) -> str | None:
    """The subject as RFC 4514 writes it: the last RDN first."""
    if not certificate or not certificate.get("subject"):
        return None
    return ",".join(
        "+".join(f"{_SHORT.get(key, key)}={_escape(value)}" for key, value in rdn)
        for rdn in reversed(certificate["subject"])
    )


def _escape(value: str) -> str:
    out = "".join("\\" + character if character in ',+"\\<>;' else character for character in value)
    if out[:1] in ("#", " "):
        out = "\\" + out
    if out.endswith(" ") and not out.endswith("\\ "):
        out = out[:-1] + "\\ "
    return out.replace("\0", "\\00")
