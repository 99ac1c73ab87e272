"""Litestar: a handler of each kind."""

from __future__ import annotations

from litestar import Litestar, Request, WebSocket, get, post, websocket


@get("/", sync_to_thread=False)
def index() -> str:
    return "litestar"


@post("/upload", status_code=200)
async def upload(request: Request) -> dict[str, int]:
    size = 0
    async for block in request.stream():
        size += len(block)
    return {"size": size}


@websocket("/ws")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_data():
        await socket.send_text(text)


app = Litestar([index, upload, echo], request_max_body_size=None)
