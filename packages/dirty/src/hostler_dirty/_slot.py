"""One place for a worker, as the pool keeps it: what it hosts, who lives in it, and how its last tries went."""

from __future__ import annotations

import asyncio
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
