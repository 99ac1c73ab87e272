"""What the HTTP/2 tests ask of an ASGI application."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The same paths as the WSGI application's, a WebSocket that echoes, and `/rpc` with trailers."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await echo(receive, send)
    else:
        await answer(scope, receive, send)


async def echo(receive: Any, send: Any) -> None:
    """Say what was said."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """By path."""
    path = scope["path"]
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
    if path == "/hints":
        for name in (b"a", b"b"):
            links = [b"</%b.css>; rel=preload" % name]
            await send({"type": "http.response.early_hint", "links": links})
    elif path == "/slow":
        (Path(os.environ["HOSTLER_TESTKIT_DIRECTORY"]) / "slow").touch()
        await asyncio.sleep(1)
    elif path == "/large":
        await send(start)
        for _ in range(int(scope["query_string"])):
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        await send({"type": "http.response.body"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if path == "/rpc":
        await send({**start, "trailers": True})
        await send({"type": "http.response.body", "body": body})
        await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})
        return
    text = f"HTTP/{scope['http_version']}.0 {scope['scheme']} {len(body)}".encode()
    await send(start)
    await send({"type": "http.response.body", "body": text})
