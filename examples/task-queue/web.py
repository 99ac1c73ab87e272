"""Jobs are accepted at once and done by the pool; there is no broker and no other process to run."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fastapi import BackgroundTasks, FastAPI, HTTPException
from hostler_dirty import get_dirty_client_async, stash
from hostler_dirty.errors import DirtyAppError, DirtyError
from pydantic import BaseModel

TASKS = {"resize": "tasks:Images", "monthly": "tasks:Reports"}
ATTEMPTS = 3
app = FastAPI()


class Order(BaseModel):
    """What is to be done, with which arguments."""

    task: str
    arguments: dict[str, Any] = {}


@app.put("/jobs/{job}", status_code=202)
async def accept(job: str, order: Order, background: BackgroundTasks) -> Any:
    """Answer now; the work begins after the answer, and a graceful stop of the server waits for it."""
    if order.task not in TASKS:
        raise HTTPException(404, f"there is no task {order.task}")
    await note(job, {"state": "waiting"})
    background.add_task(work, job, order)
    return {"job": job}


@app.get("/jobs/{job}")
def look(job: str, wait: float = 0.0) -> Any:
    """How far it is; `wait` seconds at most until it is at an end."""
    until = time.monotonic() + wait
    while True:
        state = stash.get("jobs", job)
        if state is None:
            raise HTTPException(404, f"there is no job {job}")
        if state["state"] in ("finished", "failed") or time.monotonic() > until:
            return state
        time.sleep(0.02)


async def work(job: str, order: Order) -> None:
    """Have the pool do it. What the task itself raises is final; anything else is tried again."""
    client = await get_dirty_client_async(timeout=60)
    state: dict[str, Any] = {}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            result = await client.execute_async(TASKS[order.task], order.task, job, **order.arguments)
        except DirtyAppError as error:
            state = {"state": "failed", "reason": error.message}
            break
        except DirtyError as error:  # its worker died, or none was there in time
            state = {"state": "failed", "reason": error.message, "attempts": attempt}
            await asyncio.sleep(0.5 * attempt)
        else:
            state = {"state": "finished", "result": result}
            break
    await note(job, state)


async def note(job: str, state: dict[str, Any]) -> None:
    """Tell everybody; the stash blocks for as long as it takes to ask, so not in the event loop."""
    await asyncio.to_thread(stash.put, "jobs", job, state)
