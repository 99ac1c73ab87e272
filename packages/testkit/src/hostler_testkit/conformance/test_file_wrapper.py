"""PEP 3333: `wsgi.file_wrapper` of a live WSGI server."""

from __future__ import annotations

from typing import Any

import pytest

from hostler_testkit.client import message
from hostler_testkit.server import Server

INTERFACE = "wsgi"

CONTENT = b"0123456789" * 30000


@pytest.mark.parametrize("memory", ["", "&memory=yes"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("skip=0", CONTENT),
        ("skip=299990", CONTENT[299990:]),
        ("skip=7&says=1000", CONTENT[7:1007]),
        ("skip=0&says=300000", CONTENT),
        ("skip=300000", b""),
    ],
)
def test_file_wrapper(site: Server, query: str, expected: bytes, memory: str, method: str) -> None:
    """From the file's position on, never beyond the promised length, and the connection goes on."""
    with site.connect() as peer:
        answer = peer.request(method, f"/file?{query}{memory}")
        assert answer.status == 200
        assert answer.body == (expected if method == "GET" else b"")
        if not answer.closing:
            assert peer.request().body == b"hello"


def test_file_shorter_than_its_length(site: Server) -> None:
    """The client sees that something is missing."""
    with site.connect() as peer:
        peer.send(message(target="/file?skip=299990&says=20"))
        received = peer.rest()
    assert received.partition(b"\r\n\r\n")[2] == b"0123456789"


def test_file_is_closed(server: Any) -> None:
    """As any iterable with a `close`."""
    running = server()
    assert running.request(target="/file?memory=yes").body == CONTENT
    assert running.await_left("closed.memory") == "+"
