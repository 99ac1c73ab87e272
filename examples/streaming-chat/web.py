"""The HTTP side: server-sent events, one per word, as the pool makes them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from hostler_dirty import get_dirty_client_async
from hostler_dirty.errors import DirtyError
from pydantic import BaseModel

PATH = "chat:Chat"
app = FastAPI()


class Prompt(BaseModel):
    """What the client says."""

    prompt: str
    words: int = 20
    seed: int = 0


@app.post("/chat")
async def chat(said: Prompt) -> StreamingResponse:
    """The words as they come. A client that leaves ends the generator in its worker."""

    async def events() -> AsyncIterator[str]:
        client = await get_dirty_client_async(timeout=30)
        try:
            async for word in client.stream_async(PATH, "generate", said.prompt, said.words, seed=said.seed):
                yield f"data: {json.dumps({'word': word})}\n\n"
        except DirtyError as error:  # the head has gone out long ago: the stream has to say it
            yield f"event: error\ndata: {json.dumps({'error': error.message})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@app.post("/chat/whole")
async def whole(said: Prompt) -> Any:
    """The same in one piece."""
    client = await get_dirty_client_async(timeout=30)
    stream = client.stream_async(PATH, "generate", said.prompt, said.words, seed=said.seed)
    return {"text": " ".join([word async for word in stream])}
