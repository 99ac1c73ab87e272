"""The kit's suite for protocols on SCGI, and a request through a live server."""

from importlib.metadata import entry_points
from typing import Any

from hostler_scgi.vectors import GET, VECTORS, packet
from hostler_testkit.conformance_protocol.test_protocol import *  # noqa: F403

PROTOCOLS = ["scgi"]
PROTOCOL_VECTORS = VECTORS


def test_it_is_installed() -> None:
    """The entry point leads to the value."""
    (found,) = entry_points(group="hostler.protocols", name="scgi")
    assert found.load().schemes == ("scgi",)


def test_through_a_server(server: Any) -> None:
    """The kit's application behind a listener that speaks SCGI."""
    running = server(bind="scgi://127.0.0.1:0")
    post = {**GET, "REQUEST_METHOD": "POST", "PATH_INFO": "/echo", "CONTENT_LENGTH": "5"}
    with running.connect() as peer:
        peer.send(packet(post, b"hello"))
        head, _, body = peer.rest().partition(b"\r\n\r\n")
    assert head.startswith(b"Status: 200 OK\r\n")
    assert body == b"hello"
