"""Applications that call the pool through the client in the request, and the app in it, which tells of its calls."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from urllib.parse import parse_qsl

from hostler_dirty import DirtyApp, current_call, dirty
from hostler_dirty.middleware import DirtyErrorsASGI, DirtyErrorsWSGI

PATH = "pool_requests:Desk"


class Desk(DirtyApp):
    """One worker, so that a second call has to wait. What becomes of a call is told by files beside its gate."""

    workers = 1

    def hold(self, gate):
        """Run until the file is there, five minutes at most."""
        Path(f"{gate}.begun").touch()
        until = time.monotonic() + 300
        try:
            while not os.path.exists(gate) and time.monotonic() < until:
                time.sleep(0.01)
        except BaseException:
            Path(f"{gate}.interrupted").touch()
            raise
        return "held"

    def ticks(self, gate):
        """One chunk, and then none for five minutes."""
        try:
            yield "tick"
            time.sleep(300)
        finally:
            Path(f"{gate}.closed").touch()

    def trace(self):
        return current_call().trace

    def remaining(self):
        return current_call().remaining()

    def die(self):
        os.kill(os.getpid(), 9)


def queries(text):
    return dict(parse_qsl(text))


def answer(path, query, client):
    """What a view does, for a client that blocks."""
    if path == "/hold":
        return client.execute(PATH, "hold", query["gate"])
    if path == "/late":
        return client.options(timeout=0.3).execute(PATH, "hold", query["gate"])
    if path == "/within":
        client.within(60)
        return [client.execute(PATH, "remaining"), client.options(timeout=50).execute(PATH, "remaining")]
    if path == "/over":
        return client.within(0).execute(PATH, "remaining")
    if path == "/typed":
        return dirty(Desk, client).trace()
    return client.execute(PATH, path[1:])


@DirtyErrorsWSGI
def wsgi(environ, start_response):
    path, query = environ["PATH_INFO"], queries(environ["QUERY_STRING"])
    client = environ["hostler.dirty"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/ticks":
        return (chunk.encode() for chunk in client.stream(PATH, "ticks", query["gate"]))
    if path == "/late-stream":
        return (chunk.encode() for chunk in client.options(timeout=0.3).stream(PATH, "hold", query["gate"]))
    return [json.dumps(answer(path, query, client)).encode()]


async def answer_async(path, query, client):
    """What a view does, for a client that is awaited."""
    if path == "/hold":
        return await client.execute_async(PATH, "hold", query["gate"])
    if path == "/thread":
        return await asyncio.to_thread(answer, "/hold", query, client)
    if path == "/late":
        return await client.options(timeout=0.3).execute_async(PATH, "hold", query["gate"])
    if path == "/late-stream":
        return [
            chunk async for chunk in client.options(timeout=0.3).stream_async(PATH, "hold", query["gate"])
        ]
    if path == "/within":
        client.within(60)
        other = client.options(timeout=50)
        return [await client.execute_async(PATH, "remaining"), await other.execute_async(PATH, "remaining")]
    if path == "/over":
        return await client.within(0).execute_async(PATH, "remaining")
    if path == "/typed":
        return await dirty(Desk, client).aio.trace()
    return await client.execute_async(PATH, path[1:])


async def _asgi(scope, receive, send):
    assert scope["type"] == "http"
    path, query = scope["path"], queries(scope["query_string"].decode())
    client = scope["extensions"]["hostler.dirty"]
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
    if path == "/ticks":
        await send(start)
        async with client.stream_async(PATH, "ticks", query["gate"]) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    said = json.dumps(await answer_async(path, query, client)).encode()
    await send(start)
    await send({"type": "http.response.body", "body": said})


asgi = DirtyErrorsASGI(_asgi)
