"""The `asgi` worker: accept, serve, stop. This is the file to begin with.

One event loop per process. The worker owns asyncio and nothing else: signals, settings, logs and the
application come through its context.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hostler.drive import Patience
from hostler.plugin import Waiting, WorkerContext

from hostler_asgi._accept import Door
from hostler_asgi._drive import Drive
from hostler_asgi._exchange import Exchange
from hostler_asgi._interface import require_asgi
from hostler_asgi._lifespan import Lifespan
from hostler_asgi._loop import new_loop
from hostler_asgi._settings import AsgiSettings
from hostler_asgi._websocket import WebSocket

if TYPE_CHECKING:
    import ssl

TICK = 0.5
"""Seconds between two looks at the deadlines; also the heartbeat."""
QUICK = 1.0
"""Seconds that a quick stop leaves the application's lifespan."""

OBLIVIOUS = 0.25
"""Seconds after which a stream is cancelled whose application cannot know that its client has left."""


def serve(ctx: WorkerContext, settings: AsgiSettings) -> None:
    """Load the application, run its startup, say ready, serve until told to stop."""
    app = ctx.load_app()
    require_asgi(app)
    loop = new_loop(settings.loop)
    asyncio.set_event_loop(loop)
    worker = Worker(ctx, settings, app, loop)
    try:
        loop.run_until_complete(worker.main())
    finally:
        loop.run_until_complete(_leave())
        asyncio.set_event_loop(None)
        loop.close()


def _beginning(
    ctx: WorkerContext, *, hooked: bool
) -> Callable[[Exchange | WebSocket, dict[str, Any]], None] | None:
    """Put what services offer into the scope's extensions, then call the hook `pre_request`."""
    offers = tuple(getattr(ctx, "offers", ()))
    if not offers and not hooked:
        return None

    def begin(exchange: Exchange | WebSocket, scope: dict[str, Any]) -> None:
        for key, make in offers:
            scope["extensions"][key] = make(exchange)
        if hooked:
            exchange.environ = scope
            ctx.pre_request(exchange)

    return begin


async def _leave() -> None:
    """What asyncio wants done before a loop is closed."""
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=QUICK)
    await asyncio.get_running_loop().shutdown_asyncgens()


class Worker:
    """What all connections of the process share."""

    def __init__(
        self, ctx: WorkerContext, settings: AsgiSettings, app: Any, loop: asyncio.AbstractEventLoop
    ) -> None:
        core = ctx.settings
        self.ctx = ctx
        self.settings = settings
        self.app = app
        self.loop = loop
        self.log = ctx.log.error
        self.root_path = core.root_path
        self.sendfile = core.sendfile is not False
        self.hooked = core.pre_request is not None or core.post_request is not None
        self.begin = _beginning(ctx, hooked=self.hooked)
        """What is done to a request before the application is called, if anything is."""
        self.timed = ctx.log.access_wanted or self.hooked
        self.patience = Patience(core)
        self.handshake_timeout = core.tls_handshake_timeout or None
        self.certificates: dict[ssl.SSLContext, str | None] = {}
        """What the listeners' own certificates are, in PEM."""
        self.lifespan = Lifespan(app, settings.lifespan, ctx.log.error)
        self.state = self.lifespan.state
        self.now = time.monotonic()
        self.stopping = ""
        self.stopped_at = 0.0
        self.opening = 0
        """Connections that are accepted and not yet ready for their protocol."""
        self.drives: set[Drive] = set()
        self.running: set[Exchange | WebSocket] = set()
        """Those whose application has not returned."""
        self._leaving: dict[Exchange | WebSocket, asyncio.TimerHandle] = {}
        self._doors: list[Door] = []
        self._limit = core.worker_connections or 1 << 30
        self._full = False
        self._requests = 0
        self._said_short = 0.0
        self._flushing = False
        self._stop = loop.create_future()
        self._idle: asyncio.Future[None] | None = None

    # -- its life --------------------------------------------------------------------------------------

    async def main(self) -> None:
        """From startup to shutdown."""
        self.loop.set_exception_handler(self._unhandled)
        self.loop.add_reader(self.ctx.wakeup, self._woken)
        self._tick()
        startup = self.loop.create_task(self.lifespan.startup())
        await asyncio.wait({startup, self._stop}, return_when=asyncio.FIRST_COMPLETED)
        if startup.done():
            startup.result()
        if not self.stopping:
            self._doors = [Door(self, listener) for listener in self.ctx.listeners]
            self.open_doors()
            self.ctx.ready()
            await self._stop
        await self._wind_down()
        self.loop.remove_reader(self.ctx.wakeup)

    def _woken(self) -> None:
        self.ctx.turn()
        self._mind_stopping()

    def _mind_stopping(self) -> None:
        """A stop was asked for, or a graceful one became quick."""
        stopping = self.ctx.stopping
        if stopping and stopping != self.stopping:
            self.stopping = stopping
            self.stopped_at = time.monotonic()
            if not self._stop.done():
                self._stop.set_result(None)
            self._mind_idle()

    async def _wind_down(self) -> None:
        """Finish what is in service within the time there is, then end the application."""
        until = time.monotonic() + self.ctx.settings.graceful_timeout * 0.9
        quick = self.stopping == "quick"
        for door in self._doors:
            door.close(empty=not quick)
        for drive in list(self.drives):
            drive.drain()
        self._idle = self.loop.create_future()
        self._mind_idle()
        if not quick:
            await asyncio.wait({self._idle}, timeout=until - time.monotonic())
        if self.running or self.drives:
            await self._cut_off()
        left = until - time.monotonic() if self.stopping != "quick" else QUICK
        await self.lifespan.shutdown(max(QUICK, min(left, self.settings.lifespan_timeout)))
        self.ctx.log.flush()

    async def _cut_off(self) -> None:
        """Cancel what still runs and close what is still open."""
        tasks = {exchange.task for exchange in self.running if exchange.task is not None}
        if tasks and self.stopping != "quick":
            self.log.warning("%d requests did not end within graceful_timeout and are cancelled", len(tasks))
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=QUICK)
        for drive in list(self.drives):
            drive.transport.close()
        await asyncio.sleep(0)

    def _mind_idle(self) -> None:
        idle = self._idle
        if idle is None or idle.done():
            return
        if self.stopping == "quick" or not (self.drives or self.running or self.opening):
            idle.set_result(None)

    def _tick(self) -> None:
        """Twice a second: alive; deadlines; counters."""
        self.loop.call_later(TICK, self._tick)
        self.now = now = time.monotonic()
        self.ctx.beat()
        status = self.ctx.status
        status.requests, status.active, status.connections = (
            self._requests,
            len(self.running),
            self.connections,
        )
        patience = self.patience
        for drive in list(self.drives):
            try:
                drive.look(now, patience)
            except Exception:  # what goes wrong with one connection ends that one only
                self.log.exception("a connection failed")
                drive.transport.abort()
        self._mind_stopping()
        self._mind_idle()

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What asyncio would write to its own logger."""
        del loop
        self.log.error(
            "%s", context.get("message", "error in the event loop"), exc_info=context.get("exception")
        )

    # -- connections -----------------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """Open ones, those that shake hands included."""
        return len(self.drives) + self.opening

    def open_doors(self) -> None:
        """Accept (again)."""
        if not self.stopping:
            for door in self._doors:
                door.open()

    def admitted(self, drive: Drive) -> None:
        """A connection is ready for its protocol."""
        self.opening -= 1
        self.drives.add(drive)

    def refused(self) -> None:
        """An accepted connection came to nothing."""
        self.opening -= 1
        self._mind_room()

    def dismissed(self, drive: Drive) -> None:
        """A connection is gone."""
        self.drives.discard(drive)
        self._mind_room()

    def _mind_room(self) -> None:
        """A connection is over: another may come, or the last one has gone."""
        if self._full and self.connections < self._limit:
            self._full = False
            self.open_doors()
        if self._idle is not None:
            self._mind_idle()

    def is_full(self) -> bool:
        """Whether no connection is to be accepted now; near the limit idle ones make room."""
        count = self.connections
        if count >= self._limit:
            self._full = True
            for door in self._doors:
                door.shut()
            self.ctx.log.refused("conn_limit", None, f"{count} connections")
            return True
        if count * 10 >= self._limit * 9:
            self.close_idle(self._limit // 20 + 1)
        return False

    def has_more_than_its_share(self) -> bool:
        """Whether another worker holds fewer connections, so that it should take the next one."""
        if not self.ctx.multiprocess:
            return False
        status = self.ctx.status
        status.connections = count = self.connections
        return 0 <= status.fewest_elsewhere() < count

    def close_idle(self, count: int) -> None:
        """Close so many of the kept-alive connections that have been idle."""
        idle = [drive for drive in self.drives if drive.connection.waiting is Waiting.IDLE]
        for drive in idle[:count]:
            drive.drain(at_once=True)

    def say_short(self, error: OSError) -> None:
        """Once a second: no descriptor or memory is left for a connection."""
        if self.now - self._said_short >= 1.0:
            self._said_short = self.now
            self.log.warning("cannot accept a connection: %s; waiting for room", error.strerror)

    # -- requests --------------------------------------------------------------------------------------

    def start(self, exchange: Exchange | WebSocket) -> None:
        """Run the application for it: at once, in an eager task, where Python has those."""
        loop = self.loop
        if sys.version_info >= (3, 12):
            if loop.get_task_factory() is None:
                task = asyncio.Task(exchange.run(), loop=loop, eager_start=True)
            else:
                task = loop.create_task(exchange.run())
        else:
            task = loop.create_task(exchange.run())
        if not task.done():
            exchange.task = task
            self.running.add(exchange)

    def served(self, exchange: Exchange | WebSocket) -> None:
        """A request is done: hooks, the access log, the counters."""
        ctx = self.ctx
        self._requests += 1
        if self.timed:
            exchange.seconds = time.monotonic() - exchange.started
            if ctx.log.access_wanted:
                if not exchange.carries_body:
                    exchange.sent = 0
                ctx.log.access(exchange)
                if not self._flushing:
                    self._flushing = True
                    self.loop.call_soon(self._flush_log)
            if self.hooked:
                ctx.post_request(exchange, exchange.environ, exchange)
        ctx.served()
        if ctx.stopping:
            self._mind_stopping()

    def leave_soon(self, exchange: Exchange | WebSocket) -> None:
        """Its client is gone: the application has a grace period, then its task is cancelled."""
        if exchange in self.running:
            seconds = self.settings.disconnect_grace_period
            first = min(seconds, OBLIVIOUS)
            self._leaving[exchange] = self.loop.call_later(first, self._remind, exchange, seconds - first)

    def _remind(self, exchange: Exchange | WebSocket, seconds: float) -> None:
        """A stream that waits for news has nothing to finish; all others have the rest of their time."""
        if exchange.oblivious:
            self._cancel(exchange)
        else:
            self._leaving[exchange] = self.loop.call_later(seconds, self._cancel, exchange)

    def left(self, exchange: Exchange | WebSocket) -> None:
        """Its application has returned: nothing of it is kept for the rest of the grace period."""
        timer = self._leaving.pop(exchange, None)
        if timer is not None:
            timer.cancel()

    def _cancel(self, exchange: Exchange | WebSocket) -> None:
        self._leaving.pop(exchange, None)
        if exchange in self.running and exchange.task is not None:
            exchange.task.cancel()

    def _flush_log(self) -> None:
        self._flushing = False
        self.ctx.log.flush()

    @staticmethod
    def printable(target: bytes) -> str:
        """A request's target for a log line."""
        return ascii(target[:512].decode("latin-1"))[1:-1]
