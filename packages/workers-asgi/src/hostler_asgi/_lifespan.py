"""The lifespan of an application (ASGI lifespan 2.0): its startup before any request, its shutdown after the last.

Knows no connection. `startup` and `shutdown` are told to the application at most once each.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from hostler.errors import BootError

from hostler_asgi._errors import MessageError


class Lifespan:
    """One call of the application with a scope of type `lifespan`, in a task of its own."""

    def __init__(self, app: Any, mode: str, log: logging.Logger) -> None:
        self.state: dict[str, Any] = {}
        """What the application keeps for its requests; each request gets a shallow copy."""
        self._app = app
        self._mode = mode
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._started: asyncio.Future[str | None] | None = None
        self._stopped: asyncio.Future[str | None] | None = None
        self.supported = False

    async def startup(self) -> None:
        """Return when the application is ready; raise `BootError` when it says that it will not be."""
        if self._mode == "off":
            return
        loop = asyncio.get_running_loop()
        self._started, self._stopped = loop.create_future(), loop.create_future()
        self._inbox.put_nowait({"type": "lifespan.startup"})
        self._task = loop.create_task(self._run())
        failure = await self._started
        if failure is not None:
            raise BootError(f"the application's startup failed{': ' if failure else ''}{failure}")

    async def shutdown(self, seconds: float) -> None:
        """Tell the application that the end has come and wait so long for it."""
        stopped = self._stopped
        if not self.supported or self._task is None or stopped is None:
            return
        if not self._task.done():
            self._inbox.put_nowait({"type": "lifespan.shutdown"})
            await asyncio.wait({stopped}, timeout=seconds)
        if not stopped.done():
            self._log.error("the application's lifespan shutdown took longer than %g seconds", seconds)
        elif (failure := stopped.result()) is not None:
            self._log.error("the application's shutdown failed%s%s", ": " if failure else "", failure)
        self._task.cancel()

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        started, stopped = self._started, self._stopped
        assert started is not None
        assert stopped is not None
        try:
            await self._app(scope, self._inbox.get, self._send)
        except Exception as error:  # noqa: BLE001 - the wall around the application
            self._escaped(error)
        else:
            if not started.done() and self._mode == "on":
                started.set_result("it returned before lifespan.startup.complete")
        if not started.done():
            started.set_result(None)
        if not stopped.done():
            stopped.set_result(None)

    def _escaped(self, error: Exception) -> None:
        """An exception before `complete` means that lifespan is not supported, unless it is demanded."""
        started, stopped = self._started, self._stopped
        assert started is not None
        assert stopped is not None
        if started.done():
            if started.result() is None:
                self._log.error("the application's lifespan ended with an error", exc_info=error)
            if not stopped.done():
                stopped.set_result(f"{type(error).__name__}: {error}")
        elif self._mode == "on":
            self._log.error("the application's lifespan raised before it was ready", exc_info=error)
            started.set_result(f"{type(error).__name__}: {error}")
        else:
            self._log.debug("the application does not support lifespan: %r", error)

    async def _send(self, message: Any) -> None:
        kind = message["type"]
        started, stopped = self._started, self._stopped
        assert started is not None
        assert stopped is not None
        if kind in ("lifespan.startup.complete", "lifespan.startup.failed"):
            if started.done():
                raise MessageError(f"{kind} was sent a second time")
            self.supported = kind == "lifespan.startup.complete"
            started.set_result(None if self.supported else str(message.get("message", "")))
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            if not started.done() or stopped.done():
                raise MessageError(f"{kind} was sent at the wrong time")
            stopped.set_result(None if kind.endswith("complete") else str(message.get("message", "")))
        else:
            raise MessageError(f"{kind!r} is no message of an application's lifespan")
