"""The table of children: workers and services alike, by process id.

A `Child` is the arbiter's handle of a process, not the process: a pid, a kind, a slot, an age, a generation
and its deadlines. Nothing here forks, signals or waits, so its tests start no process.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hostler._heartbeat import SLOTS

WORKER, SERVICE = "worker", "service"


@dataclass(slots=True, eq=False)
class Child:
    """One process of ours."""

    kind: str
    name: str
    """The worker class's or the service's name."""
    slot: int
    age: int
    """How many of its kind were forked before it, from 1."""
    generation: int
    started: float
    """Monotonic."""
    handle: Any
    """What hooks get as `worker`."""
    stacks: int = -1
    """A descriptor of a file without a name, into which the child writes its stacks when it is asked."""
    pid: int = 0
    ready: bool = False
    ready_at: float = math.inf
    stopping: str = ""
    """"", "graceful", "quick" or "abort": what it was told."""
    stop_by: float = math.inf
    """When it is killed if it still runs."""
    stuck_stage: int = 0
    """0: healthy; 1: asked for its stacks; 2: aborted; 3: killed."""
    stuck_at: float = math.inf
    """When the next stage is due."""
    reason: str = ""
    """Why it was stopped or is to be replaced, for the log."""
    refusal: tuple[int, str] = (0, "")
    """Once it ended before it was ready, with a reason for its user: the exit code and the reason."""

    def __str__(self) -> str:
        if self.kind == SERVICE:
            return f"service={self.name} pid={self.pid}"
        return f"worker={self.slot} gen={self.generation} pid={self.pid}"


class Children:
    """All children that run."""

    def __init__(self) -> None:
        self._by_pid: dict[int, Child] = {}
        self._slots: set[int] = set()
        self._ages: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._by_pid)

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._by_pid.values()))

    def free_slot(self) -> int:
        """The lowest slot that no child has; -1 when all are taken."""
        return next((slot for slot in range(SLOTS) if slot not in self._slots), -1)

    def next_age(self, kind: str) -> int:
        """Count one more of a kind."""
        self._ages[kind] = self._ages.get(kind, 0) + 1
        return self._ages[kind]

    def age(self, kind: str) -> int:
        """How many of a kind were forked so far."""
        return self._ages.get(kind, 0)

    def add(self, child: Child) -> None:
        """A child was forked."""
        self._by_pid[child.pid] = child
        self._slots.add(child.slot)

    def remove(self, pid: int) -> Child | None:
        """A process ended; None when it was a stranger's."""
        child = self._by_pid.pop(pid, None)
        if child is not None:
            self._slots.discard(child.slot)
        return child

    def get(self, pid: int) -> Child | None:
        """The child with this pid."""
        return self._by_pid.get(pid)

    def highest_slot(self) -> int:
        """The highest slot in use; -1 when there is none."""
        return max(self._slots, default=-1)

    def workers(self, generation: int | None = None) -> list[Child]:
        """The workers, of one generation or all, oldest first."""
        found = [
            child
            for child in self._by_pid.values()
            if child.kind == WORKER and generation in (None, child.generation)
        ]
        return sorted(found, key=lambda child: child.age)

    def staying(self, generation: int) -> list[Child]:
        """The workers of a generation that were not told to stop, oldest first."""
        return [child for child in self.workers(generation) if not child.stopping]

    def services(self) -> list[Child]:
        """The services, oldest first."""
        return sorted((c for c in self._by_pid.values() if c.kind == SERVICE), key=lambda c: c.age)
