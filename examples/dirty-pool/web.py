"""The HTTP side: FastAPI calls the pool and stays responsive whatever the models do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, StreamingResponse
from hostler_dirty import (
    DirtyNoWorkersAvailableError,
    DirtyQueueFullError,
    DirtyTimeoutError,
    get_dirty_client,
    stash,
)

app = FastAPI()
client = get_dirty_client(timeout=10)


@app.exception_handler(DirtyQueueFullError)
@app.exception_handler(DirtyNoWorkersAvailableError)
async def later(request: Any, error: Any) -> JSONResponse:
    seconds = str(max(1, round(error.retry_after or 1)))
    return JSONResponse({"error": str(error)}, 503, {"Retry-After": seconds})


@app.exception_handler(DirtyTimeoutError)
async def too_late(request: Any, error: Any) -> JSONResponse:
    return JSONResponse({"error": str(error)}, 504)


@app.get("/embed")
async def embed(text: str) -> Any:
    return {"vector": await client.execute_async("models:Embedder", "embed", text)}


@app.get("/chat")
async def chat(prompt: str) -> StreamingResponse:
    async def words() -> AsyncIterator[str]:
        async with client.stream_async("models:Chat", "reply", prompt) as chunks:
            async for word in chunks:
                yield word

    return StreamingResponse(words(), media_type="text/plain")


@app.post("/jobs/{job}")
async def job(job: str, steps: int = 10) -> Any:
    return await client.execute_async("models:Tasks", "resize", job, steps)


@app.get("/jobs/{job}")
def progress(job: str) -> Any:
    return stash.get("jobs", job, {"done": 0})


@app.get("/plain")
async def plain() -> Any:
    return {"ok": True}
