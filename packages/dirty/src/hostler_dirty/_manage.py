"""What `server ctl dirty` can have done, in the arbiter; `_control` is the other end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hostler_dirty._slot import Slot
from hostler_dirty.errors import DirtyError, DirtyUsageError

if TYPE_CHECKING:
    from hostler_dirty._service import Arbiter

LONGEST_RETURN = 2.0
"""Seconds; a worker that native code holds gives nothing back."""
IGNORED = ("swallowed", "killed")
"""Results of interrupts that the app did not heed."""


async def run(arbiter: Arbiter, words: list[str], answer: Callable[[dict[str, Any]], None]) -> None:
    """Carry out one command; the answer has `ok` and what was asked for, or `error`."""
    try:
        said = await _run(arbiter, words or ["status"])
    except DirtyError as error:
        said = {"ok": False, "error": error.message}
    answer(said)


async def _run(arbiter: Arbiter, words: list[str]) -> dict[str, Any]:
    command, rest = words[0], words[1:]
    _check(command, rest)
    if command == "status":
        return status(arbiter)
    if command == "ready":
        return ready(arbiter, rest[0] if rest else None)
    if command == "metrics":
        _pool(arbiter)
        return {"ok": True, "rows": arbiter.readings.rows()}
    if command in ("add", "remove"):
        count = _number(rest[0]) if rest else 1
        return (_add if command == "add" else _remove)(arbiter, count)
    if command == "reload":
        return await reload(arbiter, rest[0] if rest else None)
    if command == "retry":
        slots = _slots_of(arbiter, rest[0] if rest else None)
        for slot in slots:
            _pool(arbiter).retry(slot)
        return {"ok": True, "slots": [slot.index for slot in slots]}
    found = _pool(arbiter).slots.get(_number(rest[0], least=0))
    if found is None or found.member is None:
        raise DirtyUsageError(f"there is no worker in slot {rest[0]}")
    if command == "drain":
        _pool(arbiter).retire(found.member, "drained")
        return {"ok": True, "slot": found.index, "pid": found.member.pid}
    return await _stacks(arbiter, found)


def _check(command: str, rest: list[str]) -> None:
    """The command exists, and has as many words as it takes. Raises DirtyUsageError."""
    if command not in _WORDS:
        raise DirtyUsageError(f"{command!r} is none of: {', '.join(_usage(name) for name in _WORDS)}")
    takes, needed = _WORDS[command]
    if len(rest) > bool(takes) or (needed and not rest):
        raise DirtyUsageError(f"usage: {_usage(command)}")


_WORDS = {
    "status": ("", False),
    "ready": ("APP", False),
    "metrics": ("", False),
    "add": ("N", False),
    "remove": ("N", False),
    "reload": ("APP", False),
    "retry": ("APP", False),
    "drain": ("SLOT", True),
    "stacks": ("SLOT", True),
}
"""Command -> the word that it takes, and whether it has to be there."""


def _usage(command: str) -> str:
    takes, needed = _WORDS[command]
    if command == "metrics":
        takes = "--format prometheus"
    return command if not takes else f"{command} {takes}" if needed else f"{command} [{takes}]"


def status(arbiter: Arbiter) -> dict[str, Any]:
    """Everything that can be seen from outside, as plain values."""
    pool, desk, now = _pool(arbiter), arbiter.desk, time.monotonic()
    ignored = Counter[str]()
    for name, labels, figures in desk.figures.total():
        if name == "interrupt_total" and labels[1] in IGNORED:
            ignored[labels[0]] += figures[0]
    slots = sorted(pool.slots.values(), key=lambda slot: slot.index)
    return {
        "ok": True,
        "pid": arbiter.pid,
        "slots": [{**_slot(slot, now), "ignored": ignored[str(slot.index)]} for slot in slots],
        "apps": {app: _app(arbiter, app, now) for app in desk.scheduler.rules},
        "sessions": len(desk.sessions),
        "leases": len(desk.scheduler.leases),
        "granted": desk.counts["granted"],
        "rejected": desk.counts["rejected"],
        "stash_octets": desk.store.octets,
    }


def _slot(slot: Slot, now: float) -> dict[str, Any]:
    member = slot.member
    return {
        "slot": slot.index,
        "state": slot.state if member is None or member.state != "draining" else "draining",
        "apps": list(slot.apps),
        "pid": member.pid if member else None,
        "generation": member.generation if member else slot.generation,
        "next": slot.shadow.pid if slot.shadow else None,
        "restarts": slot.restarts,
        "served": member.served if member else 0,
        "running": len(member.running()) if member else 0,
        "rss": member.rss() if member else 0,
        "age": round(now - member.started, 1) if member else 0.0,
        "beat": round(member.beat_age(), 1) if member else 0.0,
        "error": " ".join(slot.last_error.split()),
    }


def _app(arbiter: Arbiter, app: str, now: float) -> dict[str, Any]:
    scheduler, pool = arbiter.desk.scheduler, _pool(arbiter)
    count = scheduler.ready(app)
    return {
        "slots": arbiter.placement.hosts(app),
        "state": "ready" if count else pool.state_of(app)[0],
        "ready": count,
        "queued": scheduler.length(app),
        "oldest": round(scheduler.oldest(app, now), 3),
    }


def ready(arbiter: Arbiter, app: str | None) -> dict[str, Any]:
    """Whether calls of an app, or of every one, would find a worker: what a probe asks."""
    _slots_of(arbiter, app)
    now = time.monotonic()
    apps = {path: _app(arbiter, path, now) for path in arbiter.desk.scheduler.rules if app in (None, path)}
    return {"ok": all(row["ready"] for row in apps.values()), "apps": apps}


async def reload(arbiter: Arbiter, app: str | None) -> dict[str, Any]:
    """New generations, slot after slot; what fails keeps the old one."""
    failures = {}
    slots = _slots_of(arbiter, app)
    for slot in slots:
        failed = await _pool(arbiter).reload_slot(slot)
        if failed:
            failures[str(slot.index)] = failed
            break  # the other slots would fail alike, and each would load the app for nothing
    await _returned(arbiter)
    return {"ok": not failures, "slots": [slot.index for slot in slots], "failures": failures}


async def _returned(arbiter: Arbiter) -> None:
    """Wait until no caller keeps a lease of an old worker, but for calls that run: new code serves."""
    desk, members, until = arbiter.desk, _pool(arbiter).members, time.monotonic() + LONGEST_RETURN
    while time.monotonic() < until:
        draining = [host for host in desk.scheduler.hosts.values() if host.draining and host.id in members]
        if all(len(host.leases) <= len(members[host.id].running()) for host in draining):
            return
        await asyncio.sleep(0.01)


def _add(arbiter: Arbiter, count: int) -> dict[str, Any]:
    added = []
    for _ in range(count):
        index = arbiter.placement.add(arbiter.needs)
        _pool(arbiter).add(index, arbiter.placement.table[index])
        added.append(index)
    return {"ok": True, "added": added}


def _remove(arbiter: Arbiter, count: int) -> dict[str, Any]:
    removed: list[int] = []
    for _ in range(count):
        index = arbiter.placement.removable()
        if index is None:
            return {"ok": False, "removed": removed, "error": "the last worker of an app is never removed"}
        del arbiter.placement.table[index]
        _pool(arbiter).remove(index)
        removed.append(index)
    return {"ok": True, "removed": removed}


async def _stacks(arbiter: Arbiter, slot: Slot) -> dict[str, Any]:
    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    assert slot.member is not None
    arbiter.desk.reports.ask_stacks(slot.member, done.set_result)
    try:
        return {"ok": True, "text": await asyncio.wait_for(done, 5.0)}
    except asyncio.TimeoutError:
        raise DirtyUsageError("the worker does not answer: native code holds it") from None


def _slots_of(arbiter: Arbiter, app: str | None) -> list[Slot]:
    if app is not None and app not in arbiter.desk.scheduler.rules:
        raise DirtyUsageError(f"the pool has no app {app}; it has {', '.join(arbiter.desk.scheduler.rules)}")
    slots = sorted(_pool(arbiter).slots.values(), key=lambda slot: slot.index)
    return [slot for slot in slots if slot.apps and (app is None or app in slot.apps)]


def _pool(arbiter: Arbiter) -> Any:
    if arbiter.pool is None:
        raise DirtyUsageError("the pool is not up yet")
    return arbiter.pool


def _number(text: str, *, least: int = 1) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6) or int(text) < least:
        raise DirtyUsageError(f"{text!r} is no number" + (f" from {least} on" if least else ""))
    return int(text)
