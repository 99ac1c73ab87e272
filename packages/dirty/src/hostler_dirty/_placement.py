"""Which slot hosts which apps: computed once, kept for ever after. Pure: no process, no clock.

A slot is an index; the worker in it comes and goes. Limited apps are spread, heavy ones first, over the
slots with the least weight; apps without a limit live in every slot that is not dedicated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hostler_dirty.errors import DirtyConfigError


@dataclass(frozen=True, slots=True)
class Spec:
    """One entry of `dirty_apps`."""

    path: str
    """`module:Class`."""
    workers: int | None = None
    """The `:N` of the entry."""


_SPEC = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_][\w.]*)(?::(-?\w+))?")


def parse(text: str) -> Spec:
    """`module:Class` or `module:Class:N`. Raises DirtyConfigError."""
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise DirtyConfigError(f"dirty_apps: {text!r} is not of the form module:Class or module:Class:N")
    if match[3] is None:
        return Spec(f"{match[1]}:{match[2]}")
    if not match[3].isdigit() or int(match[3]) < 1:
        raise DirtyConfigError(f"dirty_apps: {text!r}: the number of workers must be at least 1")
    return Spec(f"{match[1]}:{match[2]}", int(match[3]))


def parse_all(texts: Sequence[str], slots: int) -> list[Spec]:
    """Every entry, checked against each other and against `dirty_workers`."""
    specs = [parse(text) for text in texts]
    seen = set()
    for spec in specs:
        if spec.path in seen:
            raise DirtyConfigError(f"dirty_apps names {spec.path} twice")
        seen.add(spec.path)
        check(spec.path, spec.workers, slots)
    return specs


def check(path: str, workers: int | None, slots: int) -> None:
    """Raises DirtyConfigError when an app wants more workers than there are."""
    if workers is not None and not 1 <= workers <= slots:
        raise DirtyConfigError(
            f"{path} wants {workers} workers, but dirty_workers is {slots}: raise dirty_workers to "
            f"{max(workers, 1)}, or lower the app's number"
        )


@dataclass(frozen=True, slots=True)
class Need:
    """What an app asks of the placement."""

    path: str
    workers: int | None = None
    dedicated: bool = False
    memory: float = 1.0
    resources: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Placement:
    """The table slot -> apps."""

    table: dict[int, tuple[str, ...]]
    """In the order of `dirty_apps`; a slot without apps has none."""

    def hosts(self, path: str) -> list[int]:
        """The slots of an app."""
        return [slot for slot, apps in self.table.items() if path in apps]

    def removable(self) -> int | None:
        """The slot to give up: the highest one whose apps all live elsewhere too; None: there is none."""
        for slot in sorted(self.table, reverse=True):
            if all(len(self.hosts(path)) > 1 for path in self.table[slot]):
                return slot
        return None

    def add(self, needs: Sequence[Need]) -> int:
        """A new slot: the apps without a limit, or those with too few hosts. Its index."""
        slot = next(i for i in range(len(self.table) + 1) if i not in self.table)
        apps = [
            need.path
            for need in needs
            if (need.workers is None and not need.dedicated)
            or len(self.hosts(need.path)) < (need.workers or 0)
        ]
        if not apps:
            apps = [need.path for need in needs if not need.dedicated]
        self.table[slot] = tuple(apps)
        return slot


def place(needs: Sequence[Need], slots: int) -> Placement:
    """Spread the apps. Raises DirtyConfigError when they do not fit."""
    for need in needs:
        check(need.path, need.workers, slots)
    load = dict.fromkeys(range(slots), 0.0)
    limited: dict[int, list[str]] = {slot: [] for slot in load}
    closed: set[int] = set()
    order = sorted(
        (need for need in needs if need.workers is not None or need.dedicated),
        key=lambda need: (not need.dedicated, -need.memory),
    )
    for need in order:
        want = need.workers or 1
        open_slots = [s for s in load if s not in closed and not (need.dedicated and limited[s])]
        if len(open_slots) < want:
            raise DirtyConfigError(
                f"{need.path} wants {want} workers of its own, but only {len(open_slots)} of the "
                f"{slots} of dirty_workers are left"
            )
        for slot in sorted(open_slots, key=lambda s: (load[s], len(limited[s]), s))[:want]:
            load[slot] += need.memory
            limited[slot].append(need.path)
            if need.dedicated:
                closed.add(slot)
    free = [need.path for need in needs if need.workers is None and not need.dedicated]
    if free and len(closed) == slots:
        raise DirtyConfigError(
            f"Dedicated apps take all {slots} of dirty_workers; none is left for {free[0]}"
        )
    table = {}
    for slot in load:
        here = {*limited[slot], *(free if slot not in closed else ())}
        table[slot] = tuple(need.path for need in needs if need.path in here)
    return Placement(table)
