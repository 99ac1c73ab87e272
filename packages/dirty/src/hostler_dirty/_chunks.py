"""A stream's reader for `for` and for `async for`, over any source of chunks that blocks."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Chunks:
    """The chunks of a streaming action; leaving early closes the source."""

    def __init__(
        self,
        opened: Callable[[asyncio.AbstractEventLoop | None], Iterator[Any]],
        abort: Callable[[], None] | None = None,
    ) -> None:
        """`opened(loop)` gives the source, a generator, when the first chunk is asked for; `loop` is the reader's, if
        it has one. `abort` is called, from any thread, when the reader leaves while the source is at work."""
        self._opened, self._abort = opened, abort
        self._source: Iterator[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._over = False

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> Any:
        with self._lock:
            if self._over:
                raise StopIteration
            try:
                if self._source is None:
                    self._source = self._opened(self._loop)
                return next(self._source)
            except BaseException:
                self._over = True
                raise

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> Any:
        done = object()
        self._loop = asyncio.get_running_loop()
        value = await asyncio.to_thread(lambda: next(self, done))
        if value is done:
            raise StopAsyncIteration
        return value

    def close(self) -> None:
        """Read no more: the source is closed, when what it is at has ended."""
        if not self._lock.acquire(blocking=False):
            if self._abort is not None:
                self._abort()
            self._lock.acquire()
        try:
            self._over = True
            close = getattr(self._source, "close", None)
            if close is not None:
                close()
        finally:
            self._lock.release()

    async def aclose(self) -> None:
        """As `close`."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Chunks:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Chunks:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        with contextlib.suppress(RuntimeError):  # at the interpreter's end
            self.close()
