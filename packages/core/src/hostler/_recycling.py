"""Workers that have had their time or grew too large: replaced before they leave, one at a time.

Memory is the proportional share (PSS) where the kernel tells it, so that what workers share by fork is not
counted against each of them; elsewhere nothing is sampled.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hostler._children import Child
    from hostler._state import State

INTERVAL = 5.0
"""Seconds between two samples: reading a large process's pages takes the kernel milliseconds."""
_PSS = re.compile(rb"^Pss:\s+([0-9]+) kB", re.MULTILINE)


class Recycling:
    """Looks for workers to replace."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._sampled = 0.0

    def look(self, now: float) -> None:
        """Choose the next leaver, if there is one."""
        state = self._state
        settings = state.settings
        if state.leaver is not None or state.stopping or state.candidate is not None:
            return
        ready = [child for child in state.children.staying(state.plan.generation) if child.ready]
        if settings.max_worker_lifetime:
            for child in ready:
                if now - child.ready_at >= settings.max_worker_lifetime:
                    self._replace(child, f"max_worker_lifetime ({now - child.ready_at:.0f} s)")
                    return
        if settings.max_worker_rss and now - self._sampled >= INTERVAL:
            self._sampled = now
            for child in ready:
                size = memory(child.pid)
                if size > settings.max_worker_rss:
                    self._replace(child, f"max_worker_rss ({size >> 20} MiB)")
                    return

    def _replace(self, child: Child, why: str) -> None:
        child.reason = why
        self._state.leaver = child
        self._state.log.info("%s is to be replaced: %s", child, why)


def memory(pid: int) -> int:
    """The octets of memory that a process has for itself, shared pages by halves and thirds; 0 when unknown."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            found = _PSS.search(file.read())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
