"""Applications that read the whole body of any request and answer `ok`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """WSGI."""
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """ASGI; WebSocket handshakes are declined in the protocol's way, lifespan is not spoken."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
        return
    if scope["type"] != "http":
        raise NotImplementedError
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message.get("more_body", False)
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})
