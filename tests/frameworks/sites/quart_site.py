"""Quart: a handler of each kind."""

from __future__ import annotations

from quart import Quart, request, websocket

app = Quart(__name__)
app.config["MAX_CONTENT_LENGTH"] = None


@app.get("/")
async def index():
    return "quart"


@app.post("/upload")
async def upload():
    size = 0
    async for block in request.body:
        size += len(block)
    return {"size": size}


@app.websocket("/ws")
async def echo():
    while True:
        await websocket.send(await websocket.receive())
