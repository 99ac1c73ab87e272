"""WebSocket over ASGI, for workers that can carry it: handshake, messages, the ends of both sides."""

from __future__ import annotations

import signal
import struct
from collections.abc import Callable
from typing import Any

import pytest

from hostler_testkit.client import until
from hostler_testkit.server import Server
from hostler_testkit.websocket import BINARY, CLOSE, PING, PONG, TEXT, WebSocket, opening

INTERFACE = "asgi"


def _socket(site: Server, target: str = "/socket", headers: list[tuple[str, str]] | None = None) -> WebSocket:
    """A WebSocket over a connection of its own."""
    return WebSocket(site.connect(), target, headers or ())


def _refused(site: Server, target: str, version: str = "13") -> int:
    """The status of a handshake that comes to nothing."""
    with site.connect() as peer:
        peer.send(opening(target, version=version)[0])
        return peer.answer().status


def _ended(site: Server, name: str) -> str:
    """What the application of that WebSocket heard last: the code of its disconnect."""
    return site.await_left(f"socket-{name}")


def test_websocket_scope(tunnels: None, site: Server) -> None:
    """Keys and their types."""
    with _socket(
        site, "/socket?a=%20b", [("Sec-WebSocket-Protocol", "one, two"), ("X-Mixed", "V")]
    ) as client:
        client.send(TEXT, b"scope")
        shown = client.told()
    assert shown["type"] == "websocket"
    assert shown["asgi"]["version"] == "3.0"
    assert (shown["http_version"], shown["scheme"]) == ("1.1", "ws")
    assert (shown["path"], shown["raw_path"], shown["query_string"]) == ("/socket", "/socket", "a=%20b")
    assert shown["subprotocols"] == ["one", "two"]
    assert ["x-mixed", "V"] in shown["headers"]
    assert shown["client"][0] == "127.0.0.1"
    assert shown["server"] == ["127.0.0.1", site.address[1]]
    assert "method" not in shown


def test_websocket_handshake(tunnels: None, site: Server) -> None:
    """The subprotocol and the fields that the application chose."""
    with _socket(site, "/socket?subprotocol=two", [("Sec-WebSocket-Protocol", "one, two")]) as client:
        assert client.answer.get("sec-websocket-protocol") == b"two"
        assert client.answer.get("x-accepted") == b"yes"
        assert (client.answer.get("upgrade") or b"").lower() == b"websocket"


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20])
def test_websocket_messages(tunnels: None, site: Server, size: int) -> None:
    """Both kinds, of every size of head."""
    with _socket(site) as client:
        for kind in (TEXT, BINARY):
            client.send(kind, b"x" * size)
            parts = [client.receive()]
            while not parts[-1][0] & 0x80:
                parts.append(client.receive())
            assert (parts[0][0] | 0x80, b"".join(part for _, part in parts)) == (kind, b"x" * size)


def test_websocket_fragments_are_one_message(tunnels: None, site: Server) -> None:
    """A ping between them is answered meanwhile."""
    with _socket(site) as client:
        client.send(0x01, b"one ")
        client.send(PING, b"there?")
        client.send(0x00, b"mess")
        client.send(0x80, b"age")
        assert client.receive() == (PONG, b"there?")
        assert client.text() == "one message"


@pytest.mark.parametrize("how", ["close", "return", "raise"])
def test_websocket_refused(tunnels: None, site: Server, how: str) -> None:
    """An application that does not accept: an HTTP status, and never a 101."""
    assert _refused(site, f"/socket?refuse={how}") in ((403, 500) if how == "raise" else (403,))


def test_websocket_of_another_version(tunnels: None, site: Server) -> None:
    """It is told which version there is, and the application nothing."""
    assert _refused(site, "/socket?refuse=raise", version="12") in (400, 426)
    assert site.request().status == 200


@pytest.mark.parametrize(("sent", "code"), [(struct.pack("!H", 3001) + b"bye", 3001), (b"", 1005)])
def test_websocket_closed_by_the_client(tunnels: None, site: Server, sent: bytes, code: int) -> None:
    """The close is answered, and the application told its code, 1005 where there was none."""
    with _socket(site, f"/socket?name=closed{code}") as client:
        client.send(CLOSE, sent)
        assert client.closed() == code
        assert client.peer.rest() == b""
    assert _ended(site, f"closed{code}") == str(code)


def test_websocket_that_just_ends(tunnels: None, site: Server) -> None:
    """1006."""
    _socket(site, "/socket?name=gone").peer.close()
    assert _ended(site, "gone") == "1006"


@pytest.mark.parametrize(
    ("say", "code"), [(b"close 3002", 3002), (b"return", 1000), (b"raise", 1011)], ids=str
)
def test_websocket_closed_by_the_application(tunnels: None, site: Server, say: bytes, code: int) -> None:
    """With its own code, or with that of how it ended."""
    with _socket(site) as client:
        client.send(TEXT, say)
        assert client.closed() == code
        client.send(CLOSE, struct.pack("!H", code))
        assert client.peer.rest() == b""


@pytest.mark.parametrize(
    ("first", "payload", "mask", "code"),
    [
        (TEXT, b"bare", None, 1002),
        (TEXT, b"\xff", b"mask", 1007),
        (0xC1, b"reserved", b"mask", 1002),
        (0x83, b"unknown", b"mask", 1002),
        (0x80, b"continues nothing", b"mask", 1002),
        (PING, b"x" * 126, b"mask", 1002),
    ],
    ids=["unmasked", "not UTF-8", "reserved bit", "opcode", "continuation", "long ping"],
)
def test_websocket_broken_by_the_client(
    tunnels: None, site: Server, first: int, payload: bytes, mask: bytes | None, code: int
) -> None:
    """The close says why, and the connection ends."""
    with _socket(site) as client:
        client.send(first, payload, mask)
        assert client.closed() == code


def test_websocket_at_a_stop(tunnels: None, server: Callable[..., Any]) -> None:
    """The client is told to come again (1012, or 1001), and the server ends."""
    running = server()
    with _socket(running, "/socket?name=stop") as client:
        client.send(TEXT, b"hello")
        assert client.text() == "hello"
        running.send_signal(signal.SIGTERM)
        code = client.closed()
        assert code in (1001, 1012)
        client.send(CLOSE, struct.pack("!H", code))
    assert running.wait() == 0
    until(lambda: running.left("socket-stop"), "the application's disconnect")
