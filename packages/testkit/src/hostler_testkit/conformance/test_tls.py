"""TLS on a live server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from hostler_testkit.certificate import Certificate
from hostler_testkit.client import message
from hostler_testkit.server import Server


@pytest.fixture
def secure(sites: Callable[..., Server], certificate: Certificate) -> Server:
    """A server with TLS on its only listener."""
    return sites(certfile=certificate.cert, keyfile=certificate.key)


def test_requests_over_tls(secure: Server, certificate: Certificate) -> None:
    """Keep-alive, a large body each way."""
    with secure.connect(tls=certificate.client()) as peer:
        assert peer.request().body == b"hello"
        body = b"0123456789" * 100000
        assert peer.request("POST", "/echo", body=body).body == body
        assert len(peer.request(target="/big?size=3000000").body) == 3000000


def test_pipelined_over_tls(secure: Server, certificate: Certificate) -> None:
    """Requests that came in one record are all answered, though the socket stays silent."""
    with secure.connect(tls=certificate.client()) as peer:
        peer.send(message() * 20)
        for _ in range(20):
            assert peer.answer().body == b"hello"


def test_version_and_alpn(secure: Server, certificate: Certificate) -> None:
    """At least TLS 1.2, and HTTP/1.1 when the client offers it."""
    with secure.connect(tls=certificate.client(("http/1.1",))) as peer:
        assert isinstance(peer.sock, ssl.SSLSocket)
        assert peer.sock.version() in ("TLSv1.2", "TLSv1.3")
        assert peer.sock.selected_alpn_protocol() in (None, "http/1.1")


def test_plain_text_to_a_secure_listener(secure: Server, certificate: Certificate) -> None:
    """It is never answered as HTTP by the application, and the server goes on."""
    with secure.connect() as peer:
        peer.send(message())
        assert b"hello" not in peer.rest()
    with secure.connect(tls=certificate.client()) as peer:
        assert peer.request().body == b"hello"


def test_client_that_leaves_in_the_handshake(secure: Server, certificate: Certificate) -> None:
    """A broken handshake is nobody's error."""
    socket.create_connection(secure.address).close()
    with secure.connect() as peer:
        peer.send(b"\x16\x03\x01\x02\x00\x01\x00")
    with secure.connect(tls=certificate.client()) as peer:
        assert peer.request().body == b"hello"
    assert "Traceback" not in secure.log()


def test_bad_certificate_fails_closed(server: Any) -> None:
    """A listener that cannot speak TLS never speaks plain text: the server does not start."""
    running = server(wait=False, certfile="/nonexistent/cert.pem", keyfile="/nonexistent/key.pem")
    assert running.wait() != 0
    assert "/nonexistent/" in running.log()
