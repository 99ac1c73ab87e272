"""Both kinds of callers behind one face, so that a test of the pool is written once."""

from __future__ import annotations

import asyncio
import threading

from hostler_dirty import close_dirty_client_async, get_dirty_client

PATIENCE = 100.0


class Runner:
    """An event loop in a thread, from the first call on: the pool is forked before."""

    def __init__(self):
        self._lock = threading.Lock()
        self._loop = self._thread = None

    def run(self, coroutine):
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def close(self):
        if self._loop is not None:
            self.run(close_dirty_client_async())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)
            self._loop.close()


class Looped:
    """Calls of tasks of one event loop, which runs in a thread of its own; whoever calls waits for the result."""

    def __init__(self, client=None, runner=None):
        self.client = client or get_dirty_client(60)
        self._runner = runner or Runner()
        self.run = self._runner.run

    def options(self, **changes):
        return Looped(self.client.options(**changes), self._runner)

    def execute(self, *args, **kwargs):
        return self.run(self.client.execute_async(*args, **kwargs))

    def stream(self, *args, **kwargs):
        return Chunks(self, self.client.stream_async(*args, **kwargs))

    def close(self):
        self._runner.close()


class Chunks:
    """The chunks of a stream that a task reads."""

    def __init__(self, looped, stream):
        self._looped, self._stream = looped, stream

    def __iter__(self):
        return self

    def __next__(self):
        async def step():
            return await self._stream.__anext__()

        try:
            return self._looped.run(step())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self):
        self._looped.run(self._stream.aclose())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
