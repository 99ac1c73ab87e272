"""The page of `browser_page` under ASGI, and the WebSocket that it opens."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from browser_page import PATIENCE, PICTURE, SOCKET, STYLE, THOUGHT, page

styled, told = asyncio.Event(), asyncio.Event()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """By path."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        said = (await receive())["text"]
        await send({"type": "websocket.send", "text": f"{said} over HTTP/{scope['http_version']}"})
        await receive()
    else:
        await answer(scope, send)


async def answer(scope: dict[str, Any], send: Any) -> None:
    """What a path holds."""
    path = scope["path"]
    kind, body = b"image/svg+xml", PICTURE
    if path == "/style.css":
        styled.set()
        kind, body = b"text/css", STYLE
    elif path == "/told":
        text = unquote(scope["query_string"].decode())
        (Path(os.environ["HOSTLER_TESTKIT_DIRECTORY"]) / "told").write_text(text)
        told.set()
    elif path == "/held.svg":
        await patiently(told, 20)
    elif path == "/":
        styled.clear()
        await asyncio.sleep(THOUGHT)
        await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload; as=style"]})
        kind = b"text/html"
        body = page(f"HTTP/{scope['http_version']}.0", await patiently(styled, PATIENCE), SOCKET)
    head = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    if path == "/style.css":
        head.append((b"cache-control", b"max-age=60"))
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def patiently(event: asyncio.Event, patience: float) -> bool:
    """Whether it happened in time."""
    try:
        await asyncio.wait_for(event.wait(), patience)
    except asyncio.TimeoutError:
        return False
    return True
