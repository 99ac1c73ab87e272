"""What the arbiter looks after twice a second: calls past their end, loads that hang, workers that have grown.

The worker's own watcher interrupts a call at its deadline; what does not heed that, because native code holds
the interpreter or the app catches everything, is ended from here, by what the shared page says.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Any

from hostler_dirty._app import DirtyApp
from hostler_dirty._member import Member

if TYPE_CHECKING:
    from hostler_dirty._pool import Pool
    from hostler_dirty._slot import Slot

STABLE = 10.0
"""Seconds between two tries to replace a worker that serves."""


class Watch:
    """The pool's watchman."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._tasks: list[asyncio.Future[Any]] = []

    def inspect(self) -> None:
        """Twice a second: what exceeds its time is ended, what has grown or served enough is replaced."""
        now = time.monotonic()
        for member in list(self._pool.members.values()):
            if member.state == "booting":
                self._inspect_boot(member, now)
            elif member.state in ("ready", "draining"):
                self._inspect_calls(member, now)
        for slot in self._pool.slots.values():
            self._recycle(slot)

    def _inspect_boot(self, member: Member, now: float) -> None:
        limits = [self._info(path, "init_timeout") for path in member.apps]
        if all(limits) and now - member.started > sum(limits):
            member.last_error = f"init() took longer than {sum(limits):g} s"
            self._pool.log.error("%s is killed: %s", member, member.last_error)
            member.kill(signal.SIGKILL)

    def _inspect_calls(self, member: Member, now: float) -> None:
        if member.aborted:
            if now - member.aborted > 1.0:
                member.kill(signal.SIGKILL)
            return
        running = member.running()
        grace = max((self._info(path, "cancel_grace") for path in member.apps), default=5.0)
        late = [call for call in running if call[1] and now - call[1] / 1e9 > grace]
        if late and len(late) < len(running) and now - late[0][1] / 1e9 < 3 * grace:
            self._pool.retire(member, "timeout")  # its other calls may finish first; no further one begins
            return
        if late:
            self._pool.log.error("%s does not heed the end of a call: aborted", member)
            member.doom = member.doom or "timeout"
            member.aborted = now
            member.kill(signal.SIGABRT)

    def _recycle(self, slot: Slot) -> None:
        member = slot.member
        if member is None or member.state != "ready" or slot.shadow is not None or self._pool.stopping:
            return
        if any(s.shadow is not None and set(s.apps) & set(slot.apps) for s in self._pool.slots.values()):
            return  # never two slots of one app at once
        why = ""
        if member.served_limit and member.served >= member.served_limit:
            why = "max_requests"
        elif member.rss_limit and member.rss() > member.rss_limit:
            why = "max_rss"
        if why and time.monotonic() >= slot.recycle_after:
            slot.recycle_after = time.monotonic() + STABLE
            self._pool.log.info("%s is replaced: %s", member, why)
            member.served_limit = 0
            self._tasks.append(asyncio.ensure_future(self._pool.reload_slot(slot, why)))
            self._tasks = [task for task in self._tasks if not task.done()]

    def _info(self, path: str, name: str) -> float:
        return float(self._pool.infos.get(path, {}).get(name, getattr(DirtyApp, name)))
