"""The public face for callers: `get_dirty_client()`. Names are those of gunicorn's client; `typed` has `dirty(App)`.

A client object holds no connection: connections belong to the process and the event loop, so one client is
safe for threads, greenlets, tasks and `gather`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from hostler_dirty._calling import DEFAULT, Options, forget_asyncio
from hostler_dirty._place import HERE

if TYPE_CHECKING:
    from hostler_dirty._awaiting import DirtyAsyncStream
    from hostler_dirty._blocking import DirtyStream


class DirtyClient:
    """Calls into the pool."""

    def __init__(self, options: Options = DEFAULT) -> None:
        self._options = options

    def options(self, **changes: Any) -> DirtyClient:
        """A client with other options: timeout, priority, affinity, idempotent, no_worker_wait, collect, …

        They are arguments here, not of the calls, so that they never collide with an action's own.
        """
        return DirtyClient(dataclasses.replace(self._options, **changes))

    def execute(self, app_path: str, action: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call and wait. Raises DirtyError's subclasses; in a running event loop DirtyUsageError."""
        from hostler_dirty import _blocking  # noqa: PLC0415  (gevent must patch before sockets are made)

        return _blocking.execute(app_path, action, args, kwargs, self._options)

    def stream(self, app_path: str, action: str, /, *args: Any, **kwargs: Any) -> DirtyStream:
        """The chunks of a streaming action, one by one."""
        from hostler_dirty import _blocking  # noqa: PLC0415

        if HERE.executor is not None:
            forget_asyncio(self._options)
            return HERE.executor.stream(app_path, action, args, kwargs, self._options)  # type: ignore[no-any-return]
        return _blocking.DirtyStream(app_path, action, args, kwargs, self._options)

    async def execute_async(self, app_path: str, action: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call and await; cancelling the task cancels the call."""
        from hostler_dirty import _awaiting  # noqa: PLC0415

        return await _awaiting.execute(app_path, action, args, kwargs, self._options)

    def stream_async(self, app_path: str, action: str, /, *args: Any, **kwargs: Any) -> DirtyAsyncStream:
        """The chunks of a streaming action, for `async for`."""
        from hostler_dirty import _awaiting  # noqa: PLC0415

        if HERE.executor is not None:
            return HERE.executor.stream_async(app_path, action, args, kwargs, self._options)  # type: ignore[no-any-return]
        return _awaiting.DirtyAsyncStream(app_path, action, args, kwargs, self._options)

    def ready(self, app_path: str | None = None) -> bool:
        """Whether a call of the app (None: of every app) would find a worker now: what a health route asks.

        Nothing is called in a worker. False, after 10 s, when the pool does not answer. Raises
        DirtyAppNotFoundError, and DirtyUsageError in a running event loop.
        """
        from hostler_dirty import _readiness  # noqa: PLC0415

        forget_asyncio(self._options)
        return _readiness.ready(app_path)

    async def ready_async(self, app_path: str | None = None) -> bool:
        """As `ready`."""
        from hostler_dirty import _readiness  # noqa: PLC0415

        return await _readiness.ready_async(app_path)

    def connect(self) -> None:
        """For gunicorn's sake: connections are made when they are needed."""

    async def connect_async(self) -> None:
        """For gunicorn's sake."""

    def close(self) -> None:
        """For gunicorn's sake: `close_dirty_client` closes the process's connections."""

    async def close_async(self) -> None:
        """For gunicorn's sake."""

    def __enter__(self) -> DirtyClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> DirtyClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close_async()


_DEFAULT = DirtyClient()


def get_dirty_client(timeout: float | None = None) -> DirtyClient:
    """A client; `timeout` in seconds is the default of its calls."""
    return _DEFAULT if timeout is None else DirtyClient(Options(timeout=timeout))


async def get_dirty_client_async(timeout: float | None = None) -> DirtyClient:
    """As `get_dirty_client`."""
    return get_dirty_client(timeout)


def connect(address: str, timeout: float | None = None) -> DirtyClient:
    """A client in a process that no server started; `address` is the server's `dirty_bind`: unix:/run/app/dirty.sock.

    The whole process calls that pool from then on, with `get_dirty_client`, `dirty` and `stash` too. Raises
    DirtyConnectionError when nobody answers there, and DirtyUsageError in a process that has a pool of its own.
    """
    from hostler_dirty._ring import settle  # noqa: PLC0415

    settle(address)
    return get_dirty_client(timeout)


def close_dirty_client() -> None:
    """Close the connections of this process that no call uses now."""
    from hostler_dirty._lines import PILE  # noqa: PLC0415

    PILE.clear()


async def close_dirty_client_async() -> None:
    """Close the connections of this event loop."""
    import asyncio  # noqa: PLC0415

    from hostler_dirty._hub import HUBS  # noqa: PLC0415

    HUBS.forget(asyncio.get_running_loop())
