"""Figures of the pool: counters and histograms by labels, added up where things happen, and put together later.

Whole numbers only (nanoseconds, octets, counts), so that adding is one addition and two parts can be put together
without loss. A table has one thread that writes and any that read: no lock is taken for a call. Nothing here knows a
socket, a clock, a process, or who reads the figures.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hostler_dirty.errors import DirtyProtocolError

MOST = 1000
"""So many rows in one table of figures; whatever else comes is counted under the label `other`."""
OTHER = "other"

Row: TypeAlias = tuple[str, tuple[str, ...], list[int]]
"""Name, values of the labels, figures: [count] of a counter, [sum, max, *buckets] of a histogram."""

SECONDS = (
    100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000,
    250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000, 5_000_000_000, 10_000_000_000, 30_000_000_000,
    60_000_000_000, 300_000_000_000,
)  # fmt: skip
"""Upper bounds in nanoseconds: from what a small call takes to what a whole job does."""
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Metric:
    """What a name means. `unit` is what one counted unit is worth in the unit of the name."""

    kind: str
    """`counter`, `histogram`, `gauge`."""
    labels: tuple[str, ...]
    help: str
    bounds: tuple[int, ...] = ()
    unit: float = 1.0


def _seconds(labels: tuple[str, ...], text: str) -> Metric:
    return Metric("histogram", labels, text, SECONDS, 1e-9)


METRICS = {
    "queue_depth": Metric("gauge", ("app", "priority"), "Calls that wait for a worker."),
    "queue_wait_seconds": _seconds(("app",), "From the request for a worker to its grant."),
    "call_seconds": _seconds(
        ("app", "action", "outcome"), "How long calls ran: ok, error, timeout, cancelled, died."
    ),
    "time_to_first_chunk_seconds": _seconds(
        ("app", "action"), "From the begin of a streaming call to its first chunk."
    ),
    "inflight": Metric("gauge", ("slot",), "Calls that run now."),
    "batch_size": Metric("histogram", ("app", "action"), "Calls that ran together as one.", COUNTS),
    "grant_seconds": _seconds((), "What the arbiter needed to grant a worker that was free."),
    "payload_bytes": Metric("counter", ("dir",), "Octets of arguments (in) and answers (out)."),
    "rejected_total": Metric("counter", ("app", "reason"), "Calls that no worker ran."),
    "cancelled_total": Metric(
        "counter", ("stage",), "Calls whose caller left or gave up: queue, batch, run."
    ),
    "interrupt_total": Metric(
        "counter", ("slot", "result"), "Calls that were interrupted: raised, late, swallowed, killed."
    ),
    "worker_restarts_total": Metric("counter", ("slot", "reason"), "Workers that ended and were replaced."),
    "worker_rss_bytes": Metric("gauge", ("slot",), "Resident memory of a worker."),
    "init_seconds": _seconds(("app",), "How long an app's init and warmup took."),
    "app_ready": Metric("gauge", ("app",), "Workers that are ready for calls of the app."),
    "stash_bytes": Metric("gauge", (), "What the stash holds."),
}


class Figures:
    """A table of counters and histograms. One thread adds; `since` may be called by another."""

    __slots__ = ("_calls", "_came", "_rows", "_went")

    def __init__(self) -> None:
        self._rows: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        self._calls: dict[tuple[str, ...], list[int]] = {}
        self._came = self._new("payload_bytes", ("in",))
        self._went = self._new("payload_bytes", ("out",))

    def add(self, name: str, labels: tuple[str, ...], by: int = 1) -> None:
        """Count."""
        row = self._rows.get((name, labels))
        if row is None:
            row = self._new(name, labels)
        row[0] += by

    def observe(self, name: str, labels: tuple[str, ...], value: int) -> None:
        """A value of a histogram, in the unit of its bounds."""
        row = self._rows.get((name, labels))
        if row is None:
            row = self._new(name, labels)
        row[0] += value
        if value > row[1]:
            row[1] = value
        row[2 + bisect_left(METRICS[name].bounds, value)] += 1

    def call(self, labels: tuple[str, ...], took: int, came: int, went: int) -> None:
        """One call of (app, action, outcome): nanoseconds, octets of its arguments and of its answer."""
        row = self._calls.get(labels)
        if row is None:
            row = self._new("call_seconds", labels)
            if len(self._calls) < MOST:
                self._calls[labels] = row
        row[0] += took
        if took > row[1]:
            row[1] = took
        row[2 + bisect_left(SECONDS, took)] += 1
        self._came[0] += came
        self._went[0] += went

    def _new(self, name: str, labels: tuple[str, ...]) -> list[int]:
        """A row that was not there; names that callers make up do not fill the memory."""
        if len(self._rows) >= MOST:
            labels = (OTHER,) * len(labels)
        metric = METRICS[name]
        empty = [0] * (len(metric.bounds) + 3 if metric.kind == "histogram" else 1)
        return self._rows.setdefault((name, labels), empty)

    def merge(self, rows: Iterable[Row]) -> None:
        """Add what was counted elsewhere."""
        for name, labels, row in rows:
            mine = self._rows.get((name, labels))
            if mine is None:
                mine = self._new(name, labels)
            if METRICS[name].kind == "histogram":
                mine[1] = max(mine[1], row[1])
                mine[0] += row[0]
                for index in range(2, len(mine)):
                    mine[index] += row[index]
            else:
                mine[0] += row[0]

    def total(self) -> list[Row]:
        """Everything, in order."""
        return sorted((name, labels, list(row)) for (name, labels), row in list(self._rows.items()))

    def since(self, told: Told) -> list[Row]:
        """What was added since the last call with the same `told`, which remembers it.

        The largest value of a histogram is then no larger than the bound of the last bucket that grew.
        """
        rows: list[Row] = []
        for key, row in list(self._rows.items()):
            now = list(row)
            before = told.get(key)
            if before == now or not any(now):
                continue
            told[key] = now
            if before is not None:
                now = [value - was for value, was in zip(now, before, strict=True)]
                now[1:2] = [largest(key[0], row[1], now)] if len(now) > 1 else []
            rows.append((*key, now))
        return rows


Told: TypeAlias = dict[tuple[str, tuple[str, ...]], list[int]]


def largest(name: str, known: int, row: Sequence[int]) -> int:
    """An upper bound of the values that came, when the largest of a longer time is known."""
    bounds = METRICS[name].bounds
    last = max((index for index, bucket in enumerate(row[2:]) if bucket), default=-1)
    return min(known, bounds[last]) if 0 <= last < len(bounds) else known if last >= 0 else 0


def read(told: Any) -> list[Row]:
    """Rows as a worker sends them. Raises DirtyProtocolError for what are none."""
    rows: list[Row] = []
    try:
        for name, labels, row in told:
            metric = METRICS[name]
            wanted = len(metric.bounds) + 3 if metric.kind == "histogram" else 1
            if len(row) != wanted or len(labels) != len(metric.labels):
                raise ValueError(name)
            rows.append((name, tuple(map(str, labels)), [int(value) for value in row]))
    except (KeyError, TypeError, ValueError) as error:
        raise DirtyProtocolError(f"Figures of another shape: {error!r}") from None
    return rows


def count_of(row: Sequence[int]) -> int:
    """How many values a histogram has seen."""
    return sum(row[2:])


def quantile(bounds: Sequence[int], row: Sequence[int], share: float) -> float:
    """The value below which `share` of a histogram's values lie, in the unit of its bounds; 0 without values.

    Read off linearly within a bucket, never above the largest value that came.
    """
    count = count_of(row)
    wanted, seen, low = share * count, 0, 0
    for index, bucket in enumerate(row[2:]):
        high = min(bounds[index], row[1]) if index < len(bounds) else row[1]
        if bucket and seen + bucket >= wanted:
            return low + (max(high, low) - low) * (wanted - seen) / bucket
        seen += bucket
        low = high
    return float(row[1])
