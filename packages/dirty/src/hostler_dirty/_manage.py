"""What `server ctl dirty` can have done, in the arbiter; `_control` is the other end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hostler_dirty._slot import Slot
from hostler_dirty.errors import DirtyError, DirtyUsageError

if TYPE_CHECKING:
    from hostler_dirty._service import Arbiter

LONGEST_RETURN = 2.0
"""Seconds; a worker that native code holds gives nothing back."""


async def run(arbiter: Arbiter, words: list[str], answer: Callable[[dict[str, Any]], None]) -> None:
    """Carry out one command; the answer has `ok` and what was asked for, or `error`."""
    try:
        said = await _run(arbiter, words or ["status"])
    except DirtyError as error:
        said = {"ok": False, "error": error.message}
    answer(said)


async def _run(arbiter: Arbiter, words: list[str]) -> dict[str, Any]:
    command, rest = words[0], words[1:]
    if command == "status":
        return status(arbiter)
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
    if command in ("drain", "stacks") and rest:
        slot = _pool(arbiter).slots.get(_number(rest[0]))
        if slot is None or slot.member is None:
            raise DirtyUsageError(f"there is no worker in slot {rest[0]}")
        if command == "drain":
            _pool(arbiter).retire(slot.member, "drained")
            return {"ok": True, "slot": slot.index, "pid": slot.member.pid}
        return await _stacks(arbiter, slot)
    raise DirtyUsageError(
        f"{' '.join(words)!r} is none of: status, add [N], remove [N], reload [APP], retry [APP], drain SLOT, "
        "stacks SLOT"
    )


def status(arbiter: Arbiter) -> dict[str, Any]:
    """Everything that can be seen from outside, as plain values."""
    pool, desk, now = _pool(arbiter), arbiter.desk, time.monotonic()
    slots = []
    for slot in sorted(pool.slots.values(), key=lambda s: s.index):
        member = slot.member
        slots.append(
            {
                "slot": slot.index,
                "state": slot.state if member is None or member.state != "draining" else "draining",
                "apps": list(slot.apps),
                "pid": member.pid if member else None,
                "generation": member.generation if member else slot.generation,
                "restarts": slot.restarts,
                "served": member.served if member else 0,
                "running": len(member.running()) if member else 0,
                "rss": member.rss() if member else 0,
                "age": round(now - member.started, 1) if member else 0.0,
                "error": slot.last_error,
            }
        )
    apps = {
        app: {
            "slots": arbiter.placement.hosts(app),
            "ready": sum(app in h.apps and not h.draining for h in desk.scheduler.hosts.values()),
            "queued": desk.scheduler.length(app),
            "oldest": round(desk.scheduler.oldest(app, now), 3),
        }
        for app in desk.scheduler.rules
    }
    return {
        "ok": True,
        "pid": arbiter.pid,
        "slots": slots,
        "apps": apps,
        "sessions": len(desk.sessions),
        "leases": len(desk.scheduler.leases),
        "granted": desk.counts["granted"],
        "rejected": desk.counts["rejected"],
        "stash_octets": desk.store.octets,
    }


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
    arbiter.desk.stacks(slot.member, done.set_result)
    try:
        return {"ok": True, "stacks": await asyncio.wait_for(done, 5.0)}
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


def _number(text: str) -> int:
    if not text.isdigit():
        raise DirtyUsageError(f"{text!r} is no number")
    return int(text)
