"""Starlette: static files, a stream of events that says when it was closed, a background task, an upload."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

LEFT = Path(os.environ["HOSTLER_TESTKIT_DIRECTORY"])


async def index(request):
    return PlainTextResponse("starlette")


async def upload(request):
    size = 0
    async for block in request.stream():
        size += len(block)
    return JSONResponse({"size": size})


async def events(request):
    async def ticks():
        try:
            while True:
                yield "data: tick\n\n"
                await asyncio.sleep(600 if request.path_params["kind"] == "silent" else 0.05)
        finally:
            (LEFT / "closed").write_text("yes")

    return StreamingResponse(ticks(), media_type="text/event-stream")


async def background(request):
    return PlainTextResponse(
        "later", background=BackgroundTask(lambda: (LEFT / "background").write_text("yes"))
    )


async def file(request):
    return FileResponse(__file__)


async def echo(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


app = Starlette(
    routes=[
        Route("/", index),
        Route("/upload", upload, methods=["POST"]),
        Route("/events/{kind}", events),
        Route("/background", background),
        Route("/file", file),
        WebSocketRoute("/ws", echo),
        Mount("/static", StaticFiles(directory=Path(__file__).parent)),
    ]
)
