"""Waiting for something to be told, by any number of tasks at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


class Waiters:
    """Tasks that wait for the next `wake`; one that is cancelled meanwhile is no matter."""

    __slots__ = ("_futures",)

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []

    def __bool__(self) -> bool:
        return bool(self._futures)

    def wait(self, loop: asyncio.AbstractEventLoop) -> Awaitable[None]:
        """What a task awaits."""
        future = loop.create_future()
        self._futures.append(future)
        return future

    def add(self, future: asyncio.Future[None]) -> None:
        """Wake this one, too."""
        self._futures.append(future)

    def wake(self) -> None:
        """Let all go on."""
        futures, self._futures = self._futures, []
        for future in futures:
            done(future)


def done(future: asyncio.Future[None]) -> None:
    """Complete it unless that was done, or it was cancelled."""
    if not future.done():
        future.set_result(None)
