"""What workers say of themselves: lines for the log, figures, stacks, and how they are. No lease and no caller here."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from typing import Any

from hostler_dirty import _metrics, _wire
from hostler_dirty._member import Member
from hostler_dirty._metrics import Figures
from hostler_dirty._pool import Pool

QUIET_ENDS = ("stop", "removed")
"""Reasons of ends after which nobody takes the worker's place."""


class Reports:
    """Of all workers of an arbiter."""

    def __init__(self, figures: Figures, log: logging.Logger) -> None:
        self._figures, self._log = figures, log
        self._asked: dict[int, Callable[[str], None]] = {}
        self._ids = itertools.count(1)

    def event(self, pool: Pool, member: Member, told: dict[str, Any]) -> None:
        """A worker's EVENT frame."""
        event = told["event"]
        if event == "log":
            self._log.log(told["level"], "%s: %s", member, told["text"])
        elif event == "figures":
            self._figures.merge(_metrics.read(told["rows"]))
        elif event == "leaving":
            pool.retire(member, "terminated")
        elif event == "unhealthy":
            slot = pool.slots.get(member.slot)
            if slot is not None and slot.member is member and slot.shadow is None:
                self._log.warning("%s: %s is not healthy: %s", member, told["app"], told["message"])
                asyncio.get_running_loop().create_task(pool.reload_slot(slot, "unhealthy"))

    def ask_stacks(self, member: Member, told: Callable[[str], None]) -> None:
        """Ask a worker where its threads are."""
        number = next(self._ids)
        self._asked[number] = told
        if member.peer is not None:
            member.peer.send(_wire.pack(_wire.STACKS, number))

    def stacks(self, number: int, text: str) -> None:
        """A worker's answer to that."""
        told = self._asked.pop(number, None)
        if told is not None:
            told(text)

    def ended(self, member: Member, apps: set[str]) -> None:
        """A worker is dead, with calls of `apps` perhaps. What it had not told of itself is lost with it."""
        slot, now = str(member.slot), time.monotonic_ns()
        if member.exit_reason not in QUIET_ENDS:
            self._figures.add("worker_restarts_total", (slot, member.exit_reason))
        if member.aborted:
            self._figures.add("interrupt_total", (slot, "killed"))
        app = apps.pop() if len(apps) == 1 else ""
        for _, _, began in member.running():
            self._figures.call((app, "", "died"), now - began, 0, 0)
