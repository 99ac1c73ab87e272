"""What the scheduler speaks of: calls that want a worker, leases of workers, and its verdicts. No rule is here."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Ticket:
    """One call that wants a worker."""

    key: Hashable
    app: str
    action: str = ""
    owner: Hashable = None
    priority: int = 4
    deadline: float = 0.0
    """When it is wanted no more, on the scale of `now`; 0: never."""
    affinity: str = ""
    patient: bool = False
    """It waits for a worker even while none is ready."""
    patience: float = 0.0
    """How long it waits for one to become ready."""
    longest_wait: float = 0.0
    alone: bool = False
    """It wants a slot that nobody shares."""
    arrived: float = 0.0
    waiting: bool = False


@dataclass(slots=True, eq=False)
class Group:
    """The leases of one batch, which share a slot."""

    id: int
    size: int
    left: int


@dataclass(slots=True, eq=False)
class Lease:
    """A slot of a worker in somebody's hands."""

    id: int
    worker: int
    app: str
    owner: Hashable
    granted: float
    keep: bool = False
    recalled: bool = False
    group: Group | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    ticket: Ticket
    lease: Lease


@dataclass(frozen=True, slots=True)
class Reject:
    """`reason`: `deadline`, `wait`, `full`, `no_worker`, `stopping`."""

    ticket: Ticket
    reason: str
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Recall:
    """The worker is to give the lease back, at once if no call uses it, otherwise after the call."""

    worker: int
    lease: int


Verdict = Grant | Reject | Recall
