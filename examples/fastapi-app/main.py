"""A FastAPI application: lifespan, a background task, a stream of events, a WebSocket.

pip install fastapi
server --worker-class asgi main:app
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, list[str]]]:
    """What it yields is in `request.state` of every request."""
    yield {"notes": []}


app = FastAPI(lifespan=lifespan)
written: list[str] = []


@app.get("/")
async def index() -> dict[str, str]:
    """The simplest answer."""
    return {"hello": "world"}


@app.post("/notes", status_code=202)
async def note(text: str, background: BackgroundTasks) -> dict[str, str]:
    """Answer now, write later."""
    background.add_task(written.append, text)
    return {"accepted": text}


@app.get("/notes")
async def notes() -> list[str]:
    """What was written."""
    return written


@app.get("/events")
async def events() -> StreamingResponse:
    """Server-sent events; the generator is closed soon after its client left."""

    async def ticks() -> AsyncIterator[str]:
        number = 0
        while True:
            yield f"data: {number}\n\n"
            number += 1
            await asyncio.sleep(0.5)

    return StreamingResponse(ticks(), media_type="text/event-stream")


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    """Say what is heard."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return
