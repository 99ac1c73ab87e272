"""The applications that every server of the benchmarks runs, one callable a scenario.

A path chooses nothing here: a server is told the application of its scenario, so that no routing is measured.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

HELLO = b"Hello, world!"
LARGE = bytes(range(256)) * 4096  # 1 MiB
CHUNK = b"x" * 1023 + b"\n"
CHUNKS = 100
FILE_SIZE = 50 << 10
"""Octets of the file that `asgi_file` answers with."""

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


# -- WSGI ------------------------------------------------------------------------------------------------


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """13 octets with their length."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [HELLO]


def post(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answers with the body of the request."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    fields = [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))]
    start_response("200 OK", fields)
    return [body]


def download(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """1 MiB in one piece."""
    fields = [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(LARGE)))]
    start_response("200 OK", fields)
    return [LARGE]


def crowded(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """1 MiB at `/large`, 13 octets elsewhere."""
    return (download if environ["PATH_INFO"] == "/large" else hello)(environ, start_response)


def stream(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """A generator of 100 pieces of 1 KiB, of no stated length."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return pieces()


def pieces() -> Iterator[bytes]:
    """The pieces, each yielded on its own."""
    for _ in range(CHUNKS):
        yield CHUNK


def sleep(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Waits 10 ms, as for a database, then 13 octets."""
    time.sleep(0.010)
    return hello(environ, start_response)


# -- ASGI ------------------------------------------------------------------------------------------------


async def lifespan(receive: Receive, send: Send) -> None:
    """Start-up and shut-down complete at once."""
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def asgi_hello(scope: Message, receive: Receive, send: Send) -> None:
    """13 octets with their length."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": HELLO})


async def asgi_post(scope: Message, receive: Receive, send: Send) -> None:
    """Answers with the body of the request."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    fields = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def asgi_stream(scope: Message, receive: Receive, send: Send) -> None:
    """100 messages of 1 KiB, of no stated length."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for left in range(CHUNKS - 1, -1, -1):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": left > 0})


async def asgi_crowded(scope: Message, receive: Receive, send: Send) -> None:
    """1 MiB at `/large`, 13 octets elsewhere."""
    if scope.get("path") != "/large":
        await asgi_hello(scope, receive, send)
        return
    fields = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(LARGE))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": LARGE})


@functools.cache
def file_of(size: int) -> str:
    """The path of a file of so many octets, made once, in the folder that is gone after the measurement."""
    path = os.path.abspath(f"{size}.bin")
    with open(path, "wb") as file:
        file.write((LARGE * (size // len(LARGE) + 1))[:size])
    return path


async def asgi_file(scope: Message, receive: Receive, send: Send) -> None:
    """A file of 50 KiB: by pathsend where the server has it, read and sent in one piece elsewhere."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    path = file_of(FILE_SIZE)
    fields = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % FILE_SIZE)]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    if "http.response.pathsend" in scope.get("extensions", {}):
        await send({"type": "http.response.pathsend", "path": path})
        return
    with open(path, "rb") as file:
        await send({"type": "http.response.body", "body": file.read()})


async def asgi_echo(scope: Message, receive: Receive, send: Send) -> None:
    """A WebSocket says every text that it hears; requests get 13 octets."""
    if scope["type"] != "websocket":
        await asgi_hello(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
