"""One place for a worker, as the pool keeps it: what it hosts, who lives in it, and how its last tries went."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hostler_dirty._member import Member


@dataclass(slots=True, eq=False)
class Slot:
    """One place for a worker."""

    index: int
    apps: tuple[str, ...]
    member: Member | None = None
    shadow: Member | None = None
    """The next generation, until it is ready."""
    generation: int = 0
    failures: int = 0
    unstarted: int = 0
    """How often in a row there was no process to be had."""
    state: str = "booting"
    """`booting`, `ready`, `backoff`, `failed`, `stopped`."""
    retry_at: float = 0.0
    last_error: str = ""
    restarts: int = 0
    why: str = ""
    """Why the next generation was started."""
    recycle_after: float = 0.0
    timer: asyncio.TimerHandle | None = None
    waiter: asyncio.Future[str] | None = None
    """Told when the shadow is ready (""), or why it is not."""


def state_of(slots: Sequence[Slot]) -> tuple[str, float | None, str]:
    """Why no worker is ready in any of them: (state, seconds until the next try, cause)."""
    for slot in slots:
        if slot.state in ("booting", "ready"):
            return "booting", 1.0, slot.last_error
    waits = [slot for slot in slots if slot.state == "backoff"]
    if waits:
        soonest = min(waits, key=lambda slot: slot.retry_at)
        return "backoff", max(0.1, soonest.retry_at - time.monotonic()), soonest.last_error
    return "failed", None, next((slot.last_error for slot in slots), "")
