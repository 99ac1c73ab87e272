"""The ASGI worker from accept to stop: hostler's driver and threads in front, an event loop for the application behind.

A thread that has a request calls the bridge as if it were a WSGI application; the bridge lives in `_call`.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hostler.drive import Exchange, SharedDriver
from hostler.errors import BootError
from hostler.plugin import WorkerContext

from hostler_futures._call import Bridge

THREADS = 64
"""Requests that a worker runs at the same time."""


def serve(ctx: WorkerContext, settings: None) -> None:
    """Load the application, run its startup, say ready, serve until told to stop."""
    app = ctx.load_app()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="application", daemon=True)
    thread.start()
    lifespan = Lifespan(app)
    asyncio.run_coroutine_threadsafe(lifespan.startup(), loop).result()
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="request")
    bridge = Bridge(app, loop, lifespan.state, ctx.settings.root_path)
    driver: SharedDriver

    def work(exchange: Exchange) -> None:
        bridge.current.exchange = exchange
        try:
            exchange.run()
        finally:
            driver.complete(exchange)

    def start(exchange: Exchange) -> None:
        executor.submit(work, exchange)

    driver = SharedDriver(ctx, bridge, start)
    ctx.ready()
    driver.run()
    executor.shutdown(wait=False, cancel_futures=True)
    asyncio.run_coroutine_threadsafe(lifespan.shutdown(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Lifespan:
    """ASGI's lifespan, for an application that may not know it."""

    def __init__(self, app: Any) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Return when the application is ready; raise when it says that it will not be."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        said = await self._ask("lifespan.startup")
        if said.get("type") == "lifespan.startup.failed":
            raise BootError(f"the application's startup failed: {said.get('message', '')}")

    async def shutdown(self) -> None:
        """Tell it the end, if it listens."""
        if self._task is not None and not self._task.done():
            await self._ask("lifespan.shutdown")
            self._task.cancel()

    async def _ask(self, what: str) -> dict[str, Any]:
        self._told.put_nowait({"type": what})
        answer = asyncio.ensure_future(self._said.get())
        assert self._task is not None
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        return {}  # it raised or returned: it does not support lifespan

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._told.get, self._said.put)
        except Exception as error:  # noqa: BLE001 - an exception means that lifespan is not supported
            self._said.put_nowait({"type": "unsupported", "why": error})
