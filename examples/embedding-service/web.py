"""The HTTP side. It knows the app by its name only and loads no model."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException
from hostler_dirty import get_dirty_client_async
from hostler_dirty.errors import DirtyError, DirtyNoWorkersAvailableError, DirtyTimeoutError
from pydantic import BaseModel

PATH = "embedder:Embedder"
app = FastAPI()


class Texts(BaseModel):
    """What is to be embedded."""

    texts: list[str]


class Search(BaseModel):
    """What is looked for, and where."""

    query: str
    texts: list[str]
    top: int = 3


async def ask(action: str, *args: Any, **kwargs: Any) -> Any:
    """One call into the pool, and what its errors mean to a client."""
    client = await get_dirty_client_async(timeout=30)
    try:
        return await client.execute_async(PATH, action, *args, **kwargs)
    except DirtyTimeoutError as error:
        raise HTTPException(504, error.message) from error
    except DirtyNoWorkersAvailableError as error:
        raise HTTPException(503, error.message, {"Retry-After": "1"}) from error
    except DirtyError as error:
        raise HTTPException(500, error.message) from error


@app.post("/embed")
async def embed(order: Texts) -> Any:
    vectors = await ask("embed", order.texts)
    return {"count": len(vectors), "vectors": vectors}


@app.post("/nearest")
async def nearest(order: Search) -> Any:
    return await ask("nearest", order.query, order.texts, top=order.top)


@app.get("/health")
async def health() -> Any:
    return {"dimensions": len((await ask("embed", ["up"]))[0])}
