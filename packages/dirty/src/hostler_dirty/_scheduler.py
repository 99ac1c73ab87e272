"""Who gets which worker, and when: leases, queues, priorities, deadlines, batches. Pure: time is an argument.

A lease is the right to use one slot of one worker. It is granted only when a slot is free (late binding), and
it comes back only by the worker's word (`yielded`) or the worker's death. A lease may be kept by its caller
between calls; as soon as anybody waits, kept leases are recalled. A worker whose calls are very short has more
leases out than slots (`room`), so that it need not sleep between two callers; who stands too long behind another
there says so (`blocked`) and queues here instead. Waiting calls stand in one queue per app
(and per batched action), by priority and age; the app whose queue has had the least time is served first.

Nothing here knows a socket, a process, or what a call contains.
"""

from __future__ import annotations

import heapq
import itertools
import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from hostler_dirty._tickets import Grant, Group, Lease, Recall, Reject, Ticket, Verdict

AGEING = 2.0
"""A call that has waited so many seconds is as urgent as a new one of the next level."""

OVERDUE = 1.0
"""So long, in seconds, a caller may have the lease of an idle worker while others wait."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How an app's calls are queued."""

    max_queue: int = 100
    max_wait: float = 0.0
    patience: float = 0.0
    batches: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Action -> (most calls, seconds to wait for them)."""


@dataclass(slots=True, eq=False)
class Host:
    """A worker, as far as the scheduler cares."""

    id: int
    apps: frozenset[str]
    capacity: int
    seed: int = 0
    used: int = 0
    draining: bool = False
    touched: int = 0
    leases: dict[int, Lease] = field(default_factory=dict)


class _Queue:
    """Calls that wait for one app, or for one batched action of it."""

    __slots__ = ("app", "batch", "heap", "length", "ripe", "spent", "wait")

    def __init__(self, app: str, batch: int = 0, wait: float = 0.0) -> None:
        self.app, self.batch, self.wait = app, batch, wait
        self.heap: list[tuple[float, int, Ticket]] = []
        self.length = 0
        self.spent = 0.0
        self.ripe = False
        """Its batch waits for a worker, not for time."""

    def head(self) -> Ticket | None:
        while self.heap and not self.heap[0][2].waiting:
            heapq.heappop(self.heap)
        return self.heap[0][2] if self.heap else None

    def pop(self) -> Ticket:
        ticket = self.head()
        assert ticket is not None
        heapq.heappop(self.heap)
        ticket.waiting = False
        self.length -= 1
        return ticket

    def ripe_at(self) -> float:
        """When a batch is to start; 0: now."""
        if not self.batch or self.length >= self.batch:
            return 0.0
        return min(t.arrived for _, _, t in self.heap if t.waiting) + self.wait


class Scheduler:
    """The state of all queues and leases. Every method returns what is to be done, in order."""

    def __init__(self) -> None:
        self.rules: dict[str, Rules] = {}
        self.room: Callable[[int], int] = lambda worker: 0
        """How many leases of a worker may be out beyond its slots, now."""
        self.hosts: dict[int, Host] = {}
        self.leases: dict[int, Lease] = {}
        self._tickets: dict[Hashable, Ticket] = {}
        self._queues: dict[tuple[str, str], _Queue] = {}
        self._times: list[tuple[float, int, Ticket, str]] = []
        self._count = itertools.count(1)
        self._clock = 0.0
        self._cost: dict[str, float] = {}
        self.closed = ""

    # -- what happens -----------------------------------------------------------------------------------

    def add(
        self, worker: int, apps: Iterable[str], capacity: int, now: float, seed: int = 0
    ) -> list[Verdict]:
        """A worker is ready."""
        fresh = self.hosts[worker] = Host(worker, frozenset(apps), capacity, seed)
        verdicts = self._pump(now)
        for host in self.hosts.values():
            if host.used > host.capacity and host.apps & fresh.apps:
                verdicts.extend(self._recall(host))  # its callers spread anew
        return verdicts

    def drain(self, worker: int) -> list[Verdict]:
        """Give the worker no more calls, and take back what is kept of it."""
        host = self.hosts.get(worker)
        if host is None:
            return []
        host.draining = True
        return list(self._recall(host))

    def remove(self, worker: int) -> list[Lease]:
        """The worker is dead; the leases that died with it."""
        host = self.hosts.pop(worker, None)
        if host is None:
            return []
        for lease in host.leases.values():
            del self.leases[lease.id]
        return list(host.leases.values())

    def ask(self, ticket: Ticket, now: float) -> list[Verdict]:
        """A call wants a worker."""
        rules = self.rules[ticket.app]
        if self.closed:
            return [Reject(ticket, self.closed)]
        if ticket.deadline and ticket.deadline <= now:
            return [Reject(ticket, "deadline")]
        ticket.arrived = now
        if not any(True for _ in self._open_hosts(ticket.app)):
            patience = max(ticket.patience, rules.patience)
            if not ticket.patient and not patience:
                return [Reject(ticket, "no_worker")]
            if not ticket.patient:
                self._at(now + patience, ticket, "no_worker")
        elif (
            not ticket.patient and self.length(ticket.app) >= rules.max_queue and not self._free_host(ticket)
        ):
            return [Reject(ticket, "full", self._estimate(ticket.app))]
        self._enqueue(ticket, rules, now)
        return self._pump(now, ticket.app)

    def cancel(self, key: Hashable) -> bool:
        """The caller gave up waiting; False when the call does not wait (any more)."""
        ticket = self._tickets.pop(key, None)
        if ticket is None or not ticket.waiting:
            return False
        self._leave(ticket)
        return True

    def yielded(self, lease_id: int, now: float, seconds: float = 0.0) -> list[Verdict]:
        """The worker gave a lease back; `seconds` its last call took (0: unknown)."""
        lease = self.leases.pop(lease_id, None)
        if lease is None:
            return []
        host = self.hosts[lease.worker]
        del host.leases[lease_id]
        if seconds:
            self._cost[lease.app] = 0.8 * self._cost.get(lease.app, seconds) + 0.2 * seconds
        if lease.group is not None:
            lease.group.left -= 1
            if lease.group.left:
                return []
        host.used -= 1
        return self._pump(now)

    def recall(self, lease_id: int) -> list[Verdict]:
        """The owner of a lease has gone or does not want it: have the worker give it back."""
        lease = self.leases.get(lease_id)
        if lease is None or lease.recalled:
            return []
        lease.recalled = True
        return [Recall(lease.worker, lease_id)]

    def blocked(self, lease_id: int, owner: Hashable) -> list[Verdict]:
        """A call waits in a worker behind another one: it is to wait here."""
        lease = self.leases.get(lease_id)
        if lease is None or lease.owner != owner or lease.group is not None:
            return []
        host = self.hosts[lease.worker]
        if host.used <= host.capacity:
            return []
        lease.recalled = True  # once more, if it was: its worker may have had it linger
        return [Recall(host.id, lease_id)]

    def tick(self, now: float) -> list[Verdict]:
        """Time has passed."""
        verdicts: list[Verdict] = []
        while self._times and self._times[0][0] <= now:
            _, _, ticket, reason = heapq.heappop(self._times)
            if not ticket.waiting:
                continue
            if reason == "no_worker" and any(True for _ in self._open_hosts(ticket.app)):
                continue
            self._leave(ticket)
            verdicts.append(Reject(ticket, reason))
        return verdicts + self._pump(now)

    def overdue(self, now: float, idle: Callable[[int], bool]) -> list[Verdict]:
        """Leases whose callers have called nobody for a while, although others wait; `idle`: a worker runs nothing.

        Their callers have been stopped, or something went wrong between them and their worker. Whatever it was,
        the worker knows: it gives the lease back, unless a call uses it after all.
        """
        verdicts: list[Verdict] = []
        for host in self.hosts.values():
            waits = any(q.length for q in self._queues.values() if q.app in host.apps)
            if waits and host.leases and idle(host.id):
                for lease in host.leases.values():
                    if now - lease.granted > OVERDUE:
                        lease.granted, lease.recalled = now, True
                        verdicts.append(Recall(host.id, lease.id))
        return verdicts

    def fail(self, app: str, reason: str = "no_worker") -> list[Verdict]:
        """Nobody will host the app in the foreseeable future: those who wait are told."""
        return self._reject_all(lambda ticket: ticket.app == app, reason)

    def close(self, reason: str = "stopping") -> list[Verdict]:
        """Take no more calls, and reject those who wait."""
        self.closed = reason
        return self._reject_all(lambda ticket: True, reason)

    # -- what is known ----------------------------------------------------------------------------------

    def next_time(self) -> float | None:
        """When `tick` has something to do."""
        while self._times and not self._times[0][2].waiting:
            heapq.heappop(self._times)
        times = [self._times[0][0]] if self._times else []
        times += [q.ripe_at() for q in self._queues.values() if q.batch and q.length and not q.ripe]
        return min(times, default=None)

    def length(self, app: str) -> int:
        """How many calls wait for the app."""
        return sum(queue.length for queue in self._queues.values() if queue.app == app)

    def depths(self) -> dict[tuple[str, int], int]:
        """How many calls wait, by app and priority."""
        return Counter((t.app, t.priority) for t in self._tickets.values() if t.waiting)

    def ready(self, app: str) -> int:
        """How many workers take calls of the app."""
        return sum(1 for _ in self._open_hosts(app))

    def oldest(self, app: str, now: float) -> float:
        """How long the oldest call of the app has waited."""
        waits = [now - t.arrived for t in self._tickets.values() if t.app == app and t.waiting]
        return max(waits, default=0.0)

    # -- inside -----------------------------------------------------------------------------------------

    def _reject_all(self, matches: object, reason: str) -> list[Verdict]:
        assert callable(matches)
        gone = [t for t in self._tickets.values() if t.waiting and matches(t)]
        for ticket in gone:
            self._leave(ticket)
        return [Reject(ticket, reason) for ticket in gone]

    def _enqueue(self, ticket: Ticket, rules: Rules, now: float) -> None:
        batch, wait = rules.batches.get(ticket.action, (0, 0.0))
        key = (ticket.app, ticket.action if batch else "")
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue(ticket.app)
        queue.batch, queue.wait = batch, wait
        if not queue.length:
            queue.spent = max(queue.spent, self._clock)
        ticket.waiting = True
        heapq.heappush(queue.heap, (ticket.priority * AGEING + now, next(self._count), ticket))
        queue.length += 1
        self._tickets[ticket.key] = ticket
        if ticket.deadline:
            self._at(ticket.deadline, ticket, "deadline")
        longest = ticket.longest_wait or rules.max_wait
        if longest:
            self._at(now + longest, ticket, "wait")

    def _leave(self, ticket: Ticket) -> None:
        ticket.waiting = False
        self._tickets.pop(ticket.key, None)
        for key in ((ticket.app, ticket.action), (ticket.app, "")):
            queue = self._queues.get(key)
            if queue is not None and any(entry[2] is ticket for entry in queue.heap):
                queue.length -= 1
                return

    def _at(self, when: float, ticket: Ticket, reason: str) -> None:
        heapq.heappush(self._times, (when, next(self._count), ticket, reason))

    def _pump(self, now: float, app: str = "") -> list[Verdict]:
        """Grant what can be granted; recall for what cannot."""
        verdicts: list[Verdict] = []
        queues = [q for q in self._queues.values() if q.length and (not app or q.app == app)]
        while queues:
            queue = min(queues, key=lambda q: q.spent)
            head = queue.head()
            queue.ripe = head is not None and queue.ripe_at() <= now
            if head is None or not queue.ripe:
                queues.remove(queue)
                continue
            host = self._free_host(head, shared=not queue.batch)
            if host is None:
                queues.remove(queue)
                for candidate in self._open_hosts(queue.app):
                    verdicts.extend(self._recall(candidate))
                continue
            verdicts.extend(self._grant(queue, host, now))
        return verdicts

    def _grant(self, queue: _Queue, host: Host, now: float) -> list[Verdict]:
        queue.ripe = False
        size = min(queue.length, queue.batch or 1)
        group = Group(next(self._count), size, size) if queue.batch else None
        host.used += 1
        host.touched = next(self._count)
        self._clock = queue.spent
        queue.spent += self._cost.get(queue.app, 0.001)
        granted: list[Lease] = []
        verdicts: list[Verdict] = []
        for _ in range(size):
            ticket = queue.pop()
            del self._tickets[ticket.key]
            lease = Lease(next(self._count), host.id, ticket.app, ticket.owner, now, group=group)
            host.leases[lease.id] = self.leases[lease.id] = lease
            granted.append(lease)
            verdicts.append(Grant(ticket, lease))
        if (
            group is None
            and not ticket.alone
            and not any(q.length for q in self._queues.values() if q.app in host.apps)
        ):
            granted[0].keep = True
        return verdicts

    def _recall(self, host: Host) -> Iterator[Verdict]:
        for lease in host.leases.values():
            if lease.keep and not lease.recalled:  # the others come back after their call unasked
                lease.recalled = True
                yield Recall(host.id, lease.id)

    def _open_hosts(self, app: str) -> Iterator[Host]:
        return (host for host in self.hosts.values() if app in host.apps and not host.draining)

    def _free_host(self, ticket: Ticket, *, shared: bool = True) -> Host | None:
        """The free worker for a call: by affinity, else with the fewest calls, the last used first."""
        free = [host for host in self._open_hosts(ticket.app) if host.used < host.capacity]
        if not free and shared and not ticket.alone:
            hosts = self._open_hosts(ticket.app)
            free = [host for host in hosts if host.used < host.capacity + self.room(host.id)]
        if not free:
            return None
        if ticket.affinity:
            preferred = max(
                self._open_hosts(ticket.app),
                key=lambda host: zlib.crc32(f"{ticket.affinity}\0{host.seed}".encode()),
            )
            if preferred in free:
                return preferred
        return min(free, key=lambda host: (host.used, -host.touched))

    def _estimate(self, app: str) -> float:
        """Seconds until a place in the queue is likely to be free."""
        slots = sum(host.capacity for host in self._open_hosts(app)) or 1
        return min(60.0, max(0.05, self._cost.get(app, 0.1) * (self.length(app) + 1) / slots))
