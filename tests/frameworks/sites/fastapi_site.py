"""The FastAPI example, with a note of what its background task did."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import BackgroundTasks, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse

LEFT = Path(os.environ["HOSTLER_TESTKIT_DIRECTORY"])


@asynccontextmanager
async def lifespan(app):
    (LEFT / "started").write_text("yes")
    yield {"greeting": "fastapi"}
    (LEFT / "stopped").write_text("yes")


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def index(request: Request):
    return request.state.greeting


@app.post("/upload")
async def upload(request: Request):
    return {"size": len(await request.body())}


@app.get("/background")
def background(tasks: BackgroundTasks):
    tasks.add_task((LEFT / "background").write_text, "yes")
    return "later"


@app.get("/stream")
async def stream():
    async def numbers():
        for number in range(1000):
            yield f"{number}\n"

    return StreamingResponse(numbers())


@app.websocket("/ws")
async def echo(socket: WebSocket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)
