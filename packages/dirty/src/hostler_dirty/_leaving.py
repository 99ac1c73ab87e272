"""Calls of asyncio that end when the client of their request leaves. Knows a request only as something to ask.

The task is cancelled where it waits, as `asyncio.timeout` does it, so that a call needs no task of its own.
"""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hostler_dirty.errors import DirtyClientGoneError

if TYPE_CHECKING:
    from hostler.plugin import RequestView

LOOK = 0.25
"""Seconds between two looks for the client."""


class Leaving:
    """A context in which the running task is interrupted with DirtyClientGoneError when the client leaves."""

    __slots__ = ("_cancels", "_gone", "_task", "_timer", "_view")

    def __init__(self, view: RequestView) -> None:
        self._view = view
        self._gone = False
        self._cancels = 0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        if sys.version_info >= (3, 11):
            self._cancels = task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def _look(self) -> None:
        if self._view.departed():
            self._gone = True
            self._task.cancel()
        else:
            self._timer = self._task.get_loop().call_later(LOOK, self._look)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if not self._gone:
            return
        if sys.version_info >= (3, 11) and self._task.uncancel() > self._cancels:
            return  # somebody else cancelled the task as well
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            raise DirtyClientGoneError from error


class LeavingStream:
    """A stream whose reader is interrupted when the client leaves."""

    def __init__(self, stream: Any, view: RequestView) -> None:
        self._stream, self._view = stream, view

    def __aiter__(self) -> LeavingStream:
        return self

    async def __anext__(self) -> Any:
        with Leaving(self._view):
            return await self._stream.__anext__()

    def close(self) -> None:
        """Read no more; the action is interrupted if it still runs."""
        self._stream.close()

    async def aclose(self) -> None:
        """As `close`."""
        await self._stream.aclose()

    async def __aenter__(self) -> LeavingStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.aclose()
