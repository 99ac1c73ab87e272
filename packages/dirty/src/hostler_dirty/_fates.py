"""How workers ended, for the callers of their last calls. It knows sessions and no process.

A caller sees its channel close before the arbiter has reaped the worker, so the answer may have to wait.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from hostler_dirty import _line, _wire
from hostler_dirty._sessions import Session

REMEMBERED = 1024
PATIENCE = 1.0
"""Seconds until a caller is told that nothing is known."""
_UNKNOWN = {"reason": "unknown"}


class Fates:
    """The ends of the last workers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._known: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._asking: dict[int, list[tuple[Session, int]]] = {}

    def ask(self, session: Session, call: int, worker: int, *, lives: bool) -> None:
        """A caller asks how a worker ended; one that has not been reaped yet is told of when it is."""
        fate = self._known.get(worker)
        if fate is None and lives:
            self._asking.setdefault(worker, []).append((session, call))
            self._loop.call_later(PATIENCE, self._tell, worker, _UNKNOWN)
            return
        _reply(session, call, fate or _UNKNOWN)

    def ended(self, worker: int, fate: dict[str, Any]) -> None:
        """A worker was reaped."""
        self._known[worker] = fate
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        self._tell(worker, fate)

    def _tell(self, worker: int, fate: dict[str, Any]) -> None:
        for session, call in self._asking.pop(worker, ()):
            _reply(session, call, fate)


def _reply(session: Session, call: int, fate: dict[str, Any]) -> None:
    session.send(_wire.pack(_wire.REPLY, call, _line.encode(fate)))
