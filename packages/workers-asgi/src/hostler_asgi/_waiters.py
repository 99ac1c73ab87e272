"""Waiting for something to be told, by any number of tasks at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


class Waiters(list["asyncio.Future[None]"]):
    """Tasks that wait for the next `wake`; one that is cancelled meanwhile is no matter.

    A list, because whether anybody waits is asked for every request.
    """

    __slots__ = ()

    def wait(self, loop: asyncio.AbstractEventLoop) -> Awaitable[None]:
        """What a task awaits."""
        future = loop.create_future()
        self.append(future)
        return future

    def wake(self) -> None:
        """Let all go on."""
        futures = self[:]
        self.clear()
        for future in futures:
            done(future)


def done(future: asyncio.Future[None]) -> None:
    """Complete it unless that was done, or it was cancelled."""
    if not future.done():
        future.set_result(None)
