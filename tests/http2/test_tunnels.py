"""What only ASGI offers: WebSocket over HTTP/2 (RFC 8441), and trailers as gRPC uses them."""

from __future__ import annotations

from typing import Any

import h2.events
from h2_peer import Peer

WORKERS = ("asgi",)
INTERFACE = "asgi"


def frame(text: bytes) -> bytes:
    """A masked text frame of a client, with a mask of zeros (RFC 6455 section 5.2)."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text


def test_websocket(running: Any, certificate: Any) -> None:
    """Two WebSockets and a request share one connection."""
    with Peer(running.address, certificate.client(("h2",))) as peer:
        peer.until(h2.events.RemoteSettingsChanged)
        assert peer.h2.remote_settings.enable_connect_protocol == 1
        fields = [(":protocol", "websocket"), ("sec-websocket-version", "13")]
        streams = []
        for _ in range(2):
            stream = peer.h2.get_next_available_stream_id()
            head = [
                (":method", "CONNECT"),
                (":scheme", "https"),
                (":path", "/ws"),
                (":authority", "localhost"),
            ]
            peer.h2.send_headers(stream, [*head[:1], fields[0], *head[1:], fields[1]])
            streams.append(stream)
        peer.flush()
        for stream in streams:
            assert dict(peer.until(h2.events.ResponseReceived, stream).headers)[":status"] == "200"
            peer.h2.send_data(stream, frame(b"hello %d" % stream))
        peer.flush()
        assert peer.answer(peer.request("/"))[0] == 200
        for stream in streams:
            text = b"hello %d" % stream
            assert peer.until(h2.events.DataReceived, stream).data == bytes([0x81, len(text)]) + text
            peer.h2.send_data(stream, bytes([0x88, 0x82]) + bytes(4) + b"\x03\xe8", end_stream=True)
        peer.flush()
        for stream in streams:
            peer.until(h2.events.StreamEnded, stream)


def test_trailers(running: Any, certificate: Any) -> None:
    """A call in the shape of gRPC's: the status comes behind the body."""
    with Peer(running.address, certificate.client(("h2",))) as peer:
        stream = peer.request("/rpc", method="POST", end=False, fields=[("te", "trailers")])
        peer.h2.send_data(stream, b"\0\0\0\0\5hello", end_stream=True)
        peer.flush()
        assert peer.answer(stream) == (200, b"\0\0\0\0\5hello")
        assert dict(peer.until(h2.events.TrailersReceived, stream).headers) == {"grpc-status": "0"}
