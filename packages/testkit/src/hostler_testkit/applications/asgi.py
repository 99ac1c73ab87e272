"""The ASGI application of the suites: the routes of the WSGI one that make sense there, and a lifespan."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from hostler_testkit.applications.notes import add, is_open, leave

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
TEXT = (b"content-type", b"text/plain")

leave(f"imported.{os.getpid()}")


async def start(send: Send, status: int = 200, *fields: tuple[bytes, bytes]) -> None:
    """The head."""
    await send({"type": "http.response.start", "status": status, "headers": [TEXT, *fields]})


async def body(send: Send, block: bytes, more: bool = False) -> None:
    """A block."""
    await send({"type": "http.response.body", "body": block, "more_body": more})


async def read(receive: Receive) -> bytes | None:
    """The whole body; None when the client left before its end."""
    blocks: list[bytes] = []
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        blocks.append(event.get("body", b""))
        if not event.get("more_body", False):
            return b"".join(blocks)


def parameters(scope: Scope) -> dict[str, str]:
    """The query, each name once."""
    return {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """A small page with a length."""
    await start(send, 200, (b"content-length", b"5"))
    await body(send, b"hello")


async def pid(scope: Scope, receive: Receive, send: Send) -> None:
    """Which process this is."""
    await start(send)
    await body(send, str(os.getpid()).encode())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The body, read to its end."""
    got = await read(receive)
    if got is None:
        return
    add("echoed")
    if scope["path"] == "/complete":
        add("complete")
    await start(send, 200, (b"content-length", str(len(got)).encode()))
    await body(send, got)


async def ignore(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without reading the body."""
    await start(send)
    await body(send, b"ignored")


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """`count` blocks of `size` octets, without a length."""
    query = parameters(scope)
    await start(send)
    for number in range(int(query.get("count", "3"))):
        await body(send, bytes([97 + number % 26]) * int(query.get("size", "5")), more=True)
    await body(send, b"")


async def big(scope: Scope, receive: Receive, send: Send) -> None:
    """`size` octets in one block."""
    size = int(parameters(scope)["size"])
    await start(send, 200, (b"content-length", str(size).encode()))
    await body(send, b"x" * size)


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """Goes on until the client leaves."""
    await start(send)
    try:
        while True:
            await body(send, b"y" * 65536, more=True)
    finally:
        add("endless-closed")


async def gate(scope: Scope, receive: Receive, send: Send) -> None:
    """Says that it was entered, and answers when the test opens the gate."""
    name = parameters(scope)["name"]
    leave(f"entered.{name}", str(os.getpid()))
    for _ in range(6000):
        if is_open(name):
            break
        await asyncio.sleep(0.01)
    leave(f"passed.{name}")
    await start(send)
    await body(send, b"through")


async def fail(scope: Scope, receive: Receive, send: Send) -> None:
    """Raises before anything was sent."""
    raise RuntimeError("the application failed on purpose: quite-a-secret")


async def fail_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Raises after a block."""
    await start(send)
    await body(send, b"begun", more=True)
    raise RuntimeError("the application failed late on purpose")


async def hints(scope: Scope, receive: Receive, send: Send) -> None:
    """Early hints, then the page."""
    await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload; as=style"]})
    await start(send, 200, (b"content-length", b"6"))
    await body(send, b"hinted")


async def crash(scope: Scope, receive: Receive, send: Send) -> None:
    """Ends this worker as a fault would."""
    os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.sleep(60)


def plain(value: Any) -> Any:
    """A value as JSON can say it, octets as Latin-1."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else type(value).__name__


async def shown_scope(scope: Scope, receive: Receive, send: Send) -> None:
    """The scope as JSON."""
    await start(send)
    await body(send, json.dumps(plain(scope)).encode())


async def field(scope: Scope, receive: Receive, send: Send) -> None:
    """A response field of the query."""
    query = parse_qs(scope["query_string"].decode("latin-1"), encoding="latin-1", keep_blank_values=True)
    await start(send, 200, (query["name"][-1].encode("latin-1"), query["value"][-1].encode("latin-1")))
    await body(send, b"sent")


async def length(scope: Scope, receive: Receive, send: Send) -> None:
    """Blocks of the query under a Content-Length of the query, which need not fit."""
    query = parameters(scope)
    await start(send, 200, (b"content-length", query["says"].encode()))
    for block in query["blocks"].split(","):
        await body(send, block.encode(), more=True)
    await body(send, b"")


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """No body."""
    await start(send)
    await body(send, b"")


async def status(scope: Scope, receive: Receive, send: Send) -> None:
    """The status of the query."""
    query = parameters(scope)
    await start(send, int(query["line"].split()[0]))
    await body(send, b"body" if query.get("body", "yes") == "yes" else b"")


ROUTES: dict[str, Callable[[Scope, Receive, Send], Awaitable[None]]] = {
    "/": hello,
    "/pid": pid,
    "/echo": echo,
    "/complete": echo,
    "/ignore": ignore,
    "/stream": stream,
    "/big": big,
    "/endless": endless,
    "/gate": gate,
    "/fail": fail,
    "/fail-late": fail_late,
    "/hints": hints,
    "/crash": crash,
    "/scope": shown_scope,
    "/field": field,
    "/length": length,
    "/nothing": nothing,
    "/status": status,
}


async def socket(scope: Scope, receive: Receive, send: Send) -> None:
    """A WebSocket that echoes, or does what the query and its messages say, and leaves the code of its end."""
    query = parameters(scope)
    await receive()
    refuse = query.get("refuse")
    if refuse == "raise":
        raise RuntimeError("the application refused on purpose")
    if refuse == "close":
        await send({"type": "websocket.close"})
    if refuse is not None:
        return
    accept = {"subprotocol": query.get("subprotocol"), "headers": [(b"x-accepted", b"yes")]}
    await send({"type": "websocket.accept", **accept})
    while (event := await receive())["type"] == "websocket.receive":
        text = event.get("text")
        word, _, more = (text or "").partition(" ")
        if word == "scope":
            await send({"type": "websocket.send", "text": json.dumps(plain(scope))})
        elif word == "close":
            await send({"type": "websocket.close", "code": int(more)})
        elif word == "return":
            return
        elif word == "raise":
            raise RuntimeError("the application failed on purpose")
        else:
            await send({"type": "websocket.send", "text": text, "bytes": event.get("bytes")})
    if "name" in query:
        leave(f"socket-{query['name']}", str(event["code"]))


async def lifespan(receive: Receive, send: Send) -> None:
    """Says when it began and when it ended."""
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            leave(f"startup.{os.getpid()}")
            await send({"type": "lifespan.startup.complete"})
        else:
            leave(f"shutdown.{os.getpid()}")
            await send({"type": "lifespan.shutdown.complete"})
            return


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Find the route; its answer is the answer."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    if scope["type"] == "websocket":
        await socket(scope, receive, send)
        return
    route = ROUTES.get(scope["path"])
    if route is None:
        await start(send, 404)
        await body(send, b"no such route")
        return
    await route(scope, receive, send)
