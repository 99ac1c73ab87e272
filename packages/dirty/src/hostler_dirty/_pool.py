"""The workers of the pool: started, replaced with back-off, reloaded without a gap, recycled, ended.

A slot is for ever; the worker in it comes and goes, and a replacement has exactly the same apps. This module
knows no caller and no lease: whether a worker is free to end is for `Pool.drained` to be told.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

from hostler_dirty import _functions, _line, _member, _orders, _slot, _traits, _wire
from hostler_dirty._member import Member
from hostler_dirty._oom import Kills
from hostler_dirty._peer import Peer
from hostler_dirty._placement import Placement
from hostler_dirty._settings import DirtySettings
from hostler_dirty._slot import Slot
from hostler_dirty._wire import Frame

FIRST_DELAY, LONGEST_DELAY = 0.5, 60.0
LONGEST_SERVING = 2.0
"""The most for a worker that had been ready: its calls kill it, not its loading."""
LONGEST_UNSTARTED = 5.0
"""The most between two tries to have a process at all."""
STABLE = 10.0
"""A worker that lived so long starts its slot's back-off anew."""
TRIES = 5
"""So many failures in a row, and the slot waits for a reload or `dirty retry`."""


class Pool:
    """All slots. The owner gives the callbacks."""

    def __init__(
        self,
        settings: DirtySettings,
        doorbell: int,
        log: logging.Logger,
        handle: Any,
        on_ready: Callable[[Member, dict[str, Any]], None],
        on_retire: Callable[[Member], None],
        on_dead: Callable[[Member], None],
        on_frame: Callable[[Member, Frame], None],
    ) -> None:
        self.settings = settings
        self._doorbell = doorbell
        self.log = log
        self._handle = handle
        self._on_ready, self._on_retire, self._on_dead, self._on_frame = (
            on_ready,
            on_retire,
            on_dead,
            on_frame,
        )
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self.slots: dict[int, Slot] = {}
        self.members: dict[int, Member] = {}
        self.infos: dict[str, dict[str, Any]] = {}
        self.slot_env: dict[int, dict[str, str]] = {}
        self.stopping = False
        self._oom = Kills()

    def use(self, settings: DirtySettings) -> None:
        """Settings for the workers that start from now on."""
        self.settings = settings

    # -- starting ---------------------------------------------------------------------------------------

    def open(self, placement: Placement) -> None:
        """Start a worker in every slot that has apps."""
        for index, apps in placement.table.items():
            self.add(index, apps)

    def add(self, index: int, apps: tuple[str, ...]) -> None:
        """A further slot."""
        slot = self.slots[index] = Slot(index, apps)
        if apps:
            self._start(slot)
        else:
            slot.state = "stopped"
            self.log.info("dirty slot %d has no app and stays empty", index)

    def _start(self, slot: Slot) -> None:
        """Start the next generation of the slot, beside the present one if there is one."""
        slot.timer = None
        slot.generation += 1
        env = {**_traits.environment(slot.apps, self.infos), **self.slot_env.get(slot.index, {})}
        try:
            member = _member.start(
                next(self._ids), slot.index, slot.generation, slot.apps, self.settings.threads, env
            )
        except OSError as error:
            self._unstarted(slot, f"it cannot be started: {error}")
            return
        slot.unstarted = 0
        member.nice = _traits.nice(slot.apps, self.infos)
        member.affinity = _traits.affinity(slot.apps, self.infos)
        member.served_limit = _traits.served_limit(slot.apps, self.infos, self.settings)
        member.rss_limit = _traits.rss_limit(slot.apps, self.infos, self.settings)
        self.members[member.id] = member
        if slot.member is None:
            slot.member = member
            slot.state = "booting"
        else:
            slot.shadow = member
        member.peer = Peer(
            self._loop,
            member.socket,
            f"dirty worker {slot.index}",
            lambda frame: self._frame(member, frame),
            lambda: self._control_lost(member),
        )
        self._watch_exit(member)
        self._run_hook("dirty_post_fork", self.settings.post_fork, member)
        member.orders(_orders.boot(self.settings, member, self.log.getEffectiveLevel()), self._doorbell)
        self.log.info("%s starts", member)

    def _run_hook(self, name: str, hook: Any, member: Member) -> None:
        function = _functions.resolve(hook)
        if function is None:
            return
        try:
            function(self._handle, member)
        except Exception:
            self.log.exception("the hook %s failed", name)

    # -- what workers tell ------------------------------------------------------------------------------

    def _frame(self, member: Member, frame: Frame) -> None:
        if frame.kind == _wire.READY:
            self._ready(member, _line.decode(frame.body)["apps"])
        elif frame.kind == _wire.INITFAIL:
            told = _line.decode(frame.body)
            member.last_error = f"{told['app']}: {told['message']}"
            self.log.error("%s cannot load: %s\n%s", member, member.last_error, told["traceback"])
        else:
            self._on_frame(member, frame)

    def _ready(self, member: Member, infos: dict[str, Any]) -> None:
        slot = self.slots.get(member.slot)
        if slot is None or member.doom:
            return
        member.state = "ready"
        member.ready_at = time.monotonic()
        self.infos.update(infos)
        old = None
        if slot.shadow is member:
            old, slot.member, slot.shadow = slot.member, member, None
        slot.state, slot.last_error = "ready", ""
        self.log.info("%s is ready after %.1f s", member, member.ready_at - member.started)
        self._on_ready(member, infos)
        if old is not None:
            self.retire(old, slot.why or "reload")
        self._tell_waiter(slot, "")

    # -- ending -----------------------------------------------------------------------------------------

    def retire(self, member: Member, why: str) -> None:
        """End a worker gracefully: no new calls, those that run finish, `close`."""
        if member.state in ("draining", "dead"):
            return
        member.doom = member.doom or why
        was, member.state = member.state, "draining"
        self.log.info("%s is to end: %s", member, member.doom)
        self._on_retire(member)
        if was == "booting":
            member.kill(signal.SIGKILL)
        self._loop.call_later(self.settings.graceful_timeout, self._overdue, member)

    def drained(self, member: Member) -> None:
        """No lease of the worker is out any more: it may close its apps and end."""
        if member.state == "draining" and member.peer is not None:
            member.peer.send(_wire.pack(_wire.DRAIN, 0))

    def _overdue(self, member: Member) -> None:
        if member.state != "dead":
            self.log.warning("%s did not end within dirty_graceful_timeout: killed", member)
            member.kill(signal.SIGKILL)

    def _control_lost(self, member: Member) -> None:
        """The worker closed its control connection: it ends, or it is not worth keeping."""
        if member.state != "dead":
            self._loop.call_later(self.settings.graceful_timeout, self._overdue, member)

    def _watch_exit(self, member: Member) -> None:
        if not hasattr(os, "pidfd_open"):
            self._loop.run_in_executor(None, member.process.wait).add_done_callback(
                lambda _: self._reap(member)
            )
            return
        try:
            fd = os.pidfd_open(member.pid)
        except OSError:  # no descriptor is left: a thread waits instead
            waiting = self._loop.run_in_executor(None, member.process.wait)
            waiting.add_done_callback(lambda _: self._reap(member))
            return

        def ended() -> None:
            self._loop.remove_reader(fd)
            os.close(fd)
            member.process.wait()
            self._reap(member)

        self._loop.add_reader(fd, ended)

    def _reap(self, member: Member) -> None:
        slot = self.slots.get(member.slot)
        was, member.state = member.state, "dead"
        member.exit_reason = self._reason(member)
        if member.peer is not None:
            member.peer.close()
        self.members.pop(member.id, None)
        expected = was == "draining"
        fate = member.fate()
        self.log.log(
            logging.INFO if expected else logging.ERROR,
            "%s ended: %s (%s)", member, member.exit_reason,
            fate["signal"] or f"exit code {fate['exit_code']}",
        )  # fmt: skip
        if member.exit_reason == "oom":
            self.log.error(
                "the kernel killed it for want of memory: fewer dirty_workers, dirty_threads or smaller batches help"
            )
        self._on_dead(member)
        self._run_hook("dirty_worker_exit", self.settings.worker_exit, member)
        member.page.close()
        if slot is not None:
            self._after_death(slot, member, expected=expected)

    def _after_death(self, slot: Slot, member: Member, *, expected: bool) -> None:
        if slot.shadow is member:
            slot.shadow = None
            self._tell_waiter(slot, member.last_error or f"the worker ended: {member.exit_reason}")
            return
        if slot.member is not member:
            return
        slot.member = None
        if self.stopping or slot.index not in self.slots:
            slot.state = "stopped"
            self._tell_waiter(slot, "the pool stops")
            return
        if slot.shadow is not None:  # the next generation is on its way already
            slot.member, slot.shadow = slot.shadow, None
            slot.state = "booting"
            return
        slot.restarts += 1
        if expected:
            self._start(slot)
        elif member.ready_at and time.monotonic() - member.ready_at >= STABLE:
            slot.failures = 0
            self._failed(slot, "", FIRST_DELAY / 5)
        else:
            self._failed(
                slot,
                member.last_error or f"the worker ended: {member.exit_reason}",
                ready=bool(member.ready_at),
            )

    def _unstarted(self, slot: Slot, why: str) -> None:
        """The machine has no process for it: that says nothing of its apps, so it is tried until there is one."""
        slot.last_error = why
        slot.unstarted += 1
        delay = min(LONGEST_UNSTARTED, FIRST_DELAY * 2 ** min(slot.unstarted - 1, 8)) * random.uniform(
            0.9, 1.1
        )
        self.log.error("dirty worker %d (%s): %s", slot.index, ", ".join(slot.apps), why)
        self._later(slot, delay)
        self._tell_waiter(slot, why)

    def _tell_waiter(self, slot: Slot, result: str) -> None:
        """Who waits for the slot's next generation hears "" or why there is none."""
        if slot.waiter is not None and not slot.waiter.done():
            slot.waiter.set_result(result)

    def _later(self, slot: Slot, delay: float) -> None:
        self.log.info("dirty slot %d (%s) starts again in %.1f s", slot.index, ", ".join(slot.apps), delay)
        slot.state = "backoff"
        slot.retry_at = time.monotonic() + delay
        slot.timer = self._loop.call_later(delay, self._start, slot)

    def _failed(self, slot: Slot, why: str, delay: float | None = None, *, ready: bool = False) -> None:
        """Start again later; after TRIES loads that failed in a row, not at all."""
        slot.last_error = why
        slot.failures += 1
        self._tell_waiter(slot, why or "its worker ended")
        if slot.failures >= TRIES and not ready:
            slot.state = "failed"
            self.log.error(
                "dirty slot %d (%s) failed %d times in a row and is given up (%s): `server ctl dirty retry`, or reload",
                slot.index, ", ".join(slot.apps), slot.failures, why,
            )  # fmt: skip
            return
        if delay is None:
            longest = LONGEST_SERVING if ready else LONGEST_DELAY
            delay = min(longest, FIRST_DELAY * 2 ** min(slot.failures - 1, 8)) * random.uniform(0.9, 1.1)
            if ready and slot.failures == 1:
                delay = 0.0
        self._later(slot, delay)

    def _reason(self, member: Member) -> str:
        code = member.process.returncode
        oom = self._oom.more()
        if member.doom:
            return member.doom
        if code == -signal.SIGKILL:
            return "oom" if oom else "killed"
        if code is not None and code < 0:
            return "killed"
        return "init failed" if member.last_error else "exited"

    # -- orders -----------------------------------------------------------------------------------------

    async def reload_slot(self, slot: Slot, why: str = "reload") -> str:
        """Start the next generation, and end the present one when it is ready; "" or why it failed."""
        if slot.shadow is not None or (slot.waiter is not None and not slot.waiter.done()):
            return "a new generation is on its way already"
        alone = _traits.stops_first(slot.apps, self.infos)
        if slot.member is None or slot.member.state != "ready":
            slot.waiter = self._future() if alone else None  # the next slot has to see this one ready
            self.retry(slot)
            return await slot.waiter if slot.waiter is not None else ""
        if alone:
            return await self._stop_first(slot, why)
        slot.waiter = waiter = self._future()
        slot.why = why
        self._start(slot)
        result = await waiter
        if slot.shadow is None and slot.state != "ready" and slot.member is not None:
            self._no_retry(slot)  # it could not even be started
        if result:
            self.log.error("dirty slot %d keeps its old worker, %s: %s", slot.index, slot.member, result)
        return result

    def _future(self) -> asyncio.Future[str]:
        return self._loop.create_future()

    def _no_retry(self, slot: Slot) -> None:
        """The slot's present worker goes on serving."""
        if slot.timer is not None:
            slot.timer.cancel()
        slot.timer, slot.state, slot.failures = None, "ready", 0

    async def _stop_first(self, slot: Slot, why: str) -> str:
        """End the present generation, then start the next one, which has no room beside it; "" or why it failed."""
        for path in slot.apps:
            others = [s for s in self.slots.values() if s is not slot and path in s.apps]
            if others and all(s.state != "ready" for s in others):
                return f"no other worker of {path} is ready, and this one would have to stop first"
        assert slot.member is not None
        slot.waiter = waiter = self._future()
        slot.why, slot.state = why, "booting"
        self.retire(slot.member, why)
        result = await waiter
        if result:
            self.log.error("dirty slot %d has no worker after a reload: %s", slot.index, result)
        return result

    def retry(self, slot: Slot) -> None:
        """Start now what waits or was given up."""
        if slot.state in ("backoff", "failed") and slot.member is None:
            if slot.timer is not None:
                slot.timer.cancel()
            slot.failures = 0
            self._start(slot)

    def remove(self, index: int) -> None:
        """Give the slot up."""
        slot = self.slots.pop(index)
        if slot.timer is not None:
            slot.timer.cancel()
        for member in (slot.member, slot.shadow):
            if member is not None:
                self.retire(member, "removed")

    def state_of(self, path: str) -> tuple[str, float | None, str]:
        """Why no worker of the app is ready: (state, seconds until the next try, cause)."""
        if self.stopping:
            return "stopping", None, ""
        return _slot.state_of([slot for slot in self.slots.values() if path in slot.apps])

    def stop(self, *, quick: bool) -> None:
        """End every worker."""
        self.stopping = True
        for slot in self.slots.values():
            if slot.timer is not None:
                slot.timer.cancel()
        for member in list(self.members.values()):
            self.retire(member, "stop")
            if quick:
                self._loop.call_later(1.0, self._overdue, member)
