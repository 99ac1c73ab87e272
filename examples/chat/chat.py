"""A chat in one file: a page, and a WebSocket that tells everybody what anybody says.

    server --worker-class asgi chat:app

With more than one worker each has a room of its own: they share no memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PAGE = Path(__file__).with_name("chat.html")
WAITING = 100
"""Messages kept for a member who reads slowly; then the oldest are dropped."""


class Room:
    """Those who are there."""

    def __init__(self) -> None:
        self.members: set[asyncio.Queue[str]] = set()

    def say(self, text: str) -> None:
        """Tell everybody."""
        for member in self.members:
            if member.full():
                member.get_nowait()
            member.put_nowait(text)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application."""
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["room"] = Room()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await chat(scope["state"]["room"], receive, send)
    elif scope["path"] == "/":
        await page(send)
    else:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"There is only one page.\n"})


async def page(send: Send) -> None:
    """The page, straight from its file."""
    headers = [(b"content-type", b"text/html; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.pathsend", "path": str(PAGE)})


async def chat(room: Room, receive: Receive, send: Send) -> None:
    """One member, from the handshake to the end."""
    await receive()
    await send({"type": "websocket.accept"})
    inbox: asyncio.Queue[str] = asyncio.Queue(WAITING)
    room.members.add(inbox)
    telling = asyncio.create_task(tell(inbox, send))
    try:
        while (message := await receive())["type"] == "websocket.receive":
            if message["text"]:
                room.say(message["text"])
    finally:
        room.members.discard(inbox)
        telling.cancel()


async def tell(inbox: asyncio.Queue[str], send: Send) -> None:
    """What others say, as it comes; ends when the member has left."""
    try:
        while True:
            await send({"type": "websocket.send", "text": await inbox.get()})
    except OSError:
        return
