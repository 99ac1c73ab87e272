"""The dirty arbiter: it introduces callers to workers and grants leases; no payload goes through it.

One asyncio loop over raw sockets. Callers ring at the doorbell and get a session; the scheduler decides, the
pool keeps the workers, and this module carries their words. It imports no app.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from hostler.errors import BootError, ConfigError, HostlerError
from hostler.plugin import Bound, ServiceContext, ServiceSetup

from hostler_dirty import _front, _functions, _manage, _placement, _probe, _traits, codecs
from hostler_dirty._desk import Desk
from hostler_dirty._front import Front
from hostler_dirty._member import Member
from hostler_dirty._placement import Need, Placement
from hostler_dirty._pool import Pool
from hostler_dirty._readings import Readings
from hostler_dirty._scheduler import Rules
from hostler_dirty._settings import DirtySettings
from hostler_dirty._watch import Watch
from hostler_dirty.errors import DirtyConfigError

TICK = 0.5


def validate(settings: DirtySettings) -> None:
    """Before any fork: the specs, and what can be known without importing an app."""
    if sys.platform != "linux":
        raise ConfigError(
            "the dirty pool needs Linux (epoll): unset dirty_apps here, or test with the inline executor"
        )
    try:
        _placement.parse_all(settings.apps, settings.workers)
        _functions.name(settings.worker_init)
        _probe.resources(settings.resource)
        codecs.check_default(settings.codec)
        _front.parse(settings.bind)
        _front.users(settings.bind_users)
    except DirtyConfigError as error:
        raise ConfigError(error.message) from None


def bind(settings: DirtySettings, setup: ServiceSetup) -> Bound:
    """The doorbell, which outlives the arbiter, and the socket of `server ctl dirty`."""
    kind = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
    ring, bell = socket.socketpair(socket.AF_UNIX, kind)
    path = os.path.join(setup.runtime_directory(), "dirty.sock")
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    control.bind(path)
    os.chmod(path, 0o600)
    control.listen(16)
    descriptors = {"ring": ring.detach(), "bell": bell.detach(), "control": control.detach()}
    return Bound(descriptors, hidden=("bell", "control"), values={"control": path})


def serve(ctx: ServiceContext, settings: DirtySettings) -> None:
    """The arbiter's life."""
    arbiter = Arbiter(ctx, settings)
    function = _functions.resolve(settings.on_starting)
    if function is not None:
        try:
            function(arbiter)
        except Exception:
            ctx.log.exception("the hook on_dirty_starting failed")
    asyncio.run(arbiter.main())


class Arbiter:
    """What hooks get as `arbiter`: `pid`, `ppid`, `cfg`, `log`, `workers`, `num_workers`."""

    def __init__(self, ctx: ServiceContext, settings: DirtySettings) -> None:
        self._ctx = ctx
        self.cfg = settings
        self.log: logging.Logger = ctx.log
        self.pid = os.getpid()
        self.ppid = os.getppid()
        self.pool: Pool | None = None
        self.needs: list[Need] = []
        self.placement = Placement({})
        self.infos: dict[str, dict[str, Any]] = {}
        self.slot_env: dict[int, dict[str, str]] = {}
        self._ended: asyncio.Event | None = None
        self._booted: asyncio.Future[str] | None = None
        self._reloading: asyncio.Task[Any] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def workers(self) -> dict[int, Member]:
        """pid -> worker."""
        return {} if self.pool is None else {member.pid: member for member in self.pool.members.values()}

    @property
    def num_workers(self) -> int:
        """How many slots there are."""
        return len(self.placement.table) or self.cfg.workers

    async def main(self) -> None:
        """Boot, serve until told to stop, stop."""
        loop = asyncio.get_running_loop()
        ctx, settings = self._ctx, self.cfg
        self._ended = asyncio.Event()
        self._booted = loop.create_future()
        loop.add_reader(ctx.wakeup, self._turn)
        await self._place()
        self.desk = Desk(settings, self.log, self._manage)
        self.pool = Pool(
            settings, ctx.bound.descriptors["ring"], self.log, self,
            self._ready, self.desk.retire, self._dead, self.desk.worker_frame,
        )  # fmt: skip
        self.desk.pool = self.pool
        self.readings = Readings(self.pool, self.desk, ctx.measure, self.log)
        self.pool.infos = self.infos
        self.pool.slot_env = self.slot_env
        self._announce()
        self.desk.open(ctx.bound.descriptors)
        self._open_front()
        self.pool.open(self.placement)
        for number, word in ((signal.SIGTTIN, "add"), (signal.SIGTTOU, "remove")):
            loop.add_signal_handler(number, self._manage, [word], self._scaled)
        if settings.boot == "background":
            ctx.ready("the apps are being loaded")
        ticking = loop.create_task(self._tick())
        if settings.boot == "wait":
            await self._wait_for_boot()
        await self._ended.wait()
        await self._stop()
        ticking.cancel()
        self.desk.close()

    def _open_front(self) -> None:
        """Let callers in from outside, if they may."""
        path = _front.parse(self.cfg.bind)
        if not path:
            return
        front = Front(path, _front.users(self.cfg.bind_users), self.log)
        try:
            front.open()
        except DirtyConfigError as error:
            raise BootError(error.message) from None
        self.desk.doors.open_front(front)

    async def _place(self) -> None:
        """Ask a throw-away process what the classes say, and spread the apps."""
        specs = _placement.parse_all(self.cfg.apps, self.cfg.workers)
        found = await _probe.probe([spec.path for spec in specs])
        self.infos = {
            path: self._spoken(path, told["info"]) for path, told in found.items() if "info" in told
        }
        for path, told in found.items():
            if "error" in told and self.cfg.boot == "wait":
                self.log.error("%s cannot be imported:\n%s", path, told["trace"])
                raise BootError(f"the dirty app {path} cannot be imported: {told['error']}")
        try:
            for path, info in self.infos.items():
                _traits.check(path, info)
        except DirtyConfigError as error:
            raise BootError(error.message) from None
        self.needs = [
            Need(
                spec.path,
                spec.workers if spec.workers is not None else self.infos.get(spec.path, {}).get("workers"),
                dedicated=bool(self.infos.get(spec.path, {}).get("dedicated")),
                memory=float(self.infos.get(spec.path, {}).get("memory", 1.0)),
                resources=self.infos.get(spec.path, {}).get("resources") or {},
            )
            for spec in specs
        ]
        try:
            self.placement = _placement.place(self.needs, self.cfg.workers)
            self.slot_env = _probe.deal(self.needs, self.placement, _probe.resources(self.cfg.resource))
        except DirtyConfigError as error:
            raise BootError(error.message) from None

    def _spoken(self, path: str, info: dict[str, Any]) -> dict[str, Any]:
        """What the class says, with the codec that its values travel by."""
        try:
            return {**info, **codecs.described(info.get("codec") or self.cfg.codec)}
        except DirtyConfigError as error:
            raise BootError(f"{path}: {error.message}") from None

    def _announce(self) -> None:
        """The scheduler's rules and the stash's tables, from what the classes say."""
        for need in self.needs:
            info = self.infos.get(need.path, {})
            self.desk.scheduler.rules[need.path] = Rules(
                info["max_queue"] if info.get("max_queue") is not None else self.cfg.max_queue,
                info.get("max_queue_wait") or 0.0,
                info.get("no_worker_wait") or 0.0,
                {name: (size, wait) for name, (size, wait) in info.get("batches", {}).items()},
            )
            for table in info.get("stashes") or ():
                self.desk.store.ensure(time.monotonic(), table)
        self.desk.infos = self.infos

    async def _wait_for_boot(self) -> None:
        assert self._booted is not None
        assert self._ended is not None
        ending = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait((self._booted, ending), return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if self._booted.done() and self._booted.result():
            await self._stop(quick=True)
            raise BootError(f"the dirty pool cannot be brought up: {self._booted.result()}")
        if self._booted.done():
            self.desk.booting = False
            self._ctx.ready(self._status())

    # -- workers ----------------------------------------------------------------------------------------

    def _ready(self, member: Member, infos: dict[str, Any]) -> None:
        self.infos.update(infos)
        self._announce()
        self.desk.join(member)
        assert self.pool is not None
        assert self._booted is not None
        if not self._booted.done() and all(
            slot.state in ("ready", "stopped") for slot in self.pool.slots.values()
        ):
            self._booted.set_result("")
        self._ctx.report(self._status())

    def _dead(self, member: Member) -> None:
        self.desk.dead(member)
        assert self._booted is not None
        if not self._booted.done() and self.cfg.boot == "wait" and not member.ready_at:
            self._booted.set_result(member.last_error or f"its worker ended at once ({member.exit_reason})")
        self._ctx.report(self._status())

    def _status(self) -> str:
        assert self.pool is not None
        ready = sum(slot.state == "ready" for slot in self.pool.slots.values())
        return f"{ready} of {len(self.pool.slots)} dirty workers ready"

    async def _tick(self) -> None:
        assert self.pool is not None
        watch = Watch(self.pool)
        while True:
            self._ctx.beat()
            watch.inspect()
            self.desk.give_up(self.pool)
            self.desk.doors.keep_front()
            self.readings.turn(time.monotonic(), self.cfg.metrics_interval)
            await asyncio.sleep(TICK)

    # -- orders -----------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._ctx.turn()
        if self._ctx.stopping and self._ended is not None:
            self._ended.set()
        if self._ctx.reloading:
            self._ctx.reloading = False
            self._reread()
            self.spawn(_manage.reload(self, None))

    def _reread(self) -> None:
        """After a HUP: the settings anew. The apps and the number of slots stay until a restart."""
        reread = getattr(self._ctx, "reread", None)
        if reread is None:
            return
        try:
            fresh = reread()
        except HostlerError as error:
            self.log.error("the dirty pool keeps its settings: %s", error)
            return
        if fresh is None or self.pool is None:
            return
        if (fresh.apps, fresh.workers, fresh.threads) != (self.cfg.apps, self.cfg.workers, self.cfg.threads):
            self.log.warning("dirty_apps, dirty_workers and dirty_threads change with a restart only")
            fresh = dataclasses.replace(
                fresh, apps=self.cfg.apps, workers=self.cfg.workers, threads=self.cfg.threads
            )
        moved = (fresh.bind, fresh.bind_users) != (self.cfg.bind, self.cfg.bind_users)
        self.cfg = fresh
        self.pool.use(fresh)
        if moved:
            self.desk.doors.close_front()
            try:
                self._open_front()
            except BootError as error:
                self.log.error("%s", error)

    def spawn(self, work: Any) -> None:
        """Run a coroutine beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _manage(self, words: list[str], answer: Callable[[dict[str, Any]], None]) -> None:
        self.spawn(_manage.run(self, words, answer))

    def _scaled(self, said: dict[str, Any]) -> None:
        """What became of a TTIN or TTOU."""
        if not said["ok"]:
            self.log.warning("the number of dirty slots stays %d: %s", self.num_workers, said["error"])

    async def _stop(self, *, quick: bool = False) -> None:
        """Reject who waits, let the running calls finish, end the workers."""
        assert self.pool is not None
        self.desk.doors.close_front()
        self.desk.stop()
        self.pool.stop(quick=quick or self._ctx.stopping == "quick")
        until = time.monotonic() + self.cfg.graceful_timeout + 5.0
        while self.pool.members and time.monotonic() < until:
            await asyncio.sleep(0.01)
            self._ctx.beat()
