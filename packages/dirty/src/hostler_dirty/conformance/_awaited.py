"""Checks: asyncio callers. Each has an event loop of its own, as in a process that makes several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from hostler_dirty import DirtyAppError, DirtyTimeoutError, DirtyUsageError, get_dirty_client, stash
from hostler_dirty.conformance._expect import PATIENCE, refused, same
from hostler_dirty.conformance.apps import PICKLES, PLAIN, TABLE

client = get_dirty_client(60)


def _run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


async def _until(key: str, state: str) -> None:
    end = asyncio.get_running_loop().time() + PATIENCE
    while await asyncio.to_thread(stash.get, TABLE, key) != state:
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"{key} did not become {state} within {PATIENCE:g} s")
        await asyncio.sleep(0.01)


def calls_can_be_awaited() -> None:
    """Values, errors and codecs as for plain callers, in one loop after the other."""

    async def main() -> None:
        same(await client.execute_async(PLAIN, "echo", [1, b"x" * 200_000]), [1, b"x" * 200_000])
        same(await client.execute_async(PLAIN, "echo_async", 2), 2)
        same(await client.execute_async(PICKLES, "echo", {3}), {3})
        with refused(DirtyAppError):
            await client.execute_async(PLAIN, "fail", "no")

    for _ in range(2):
        _run(main())


def gathered_calls_keep_apart() -> None:
    """A hundred at once on one client."""

    async def main() -> None:
        same(
            await asyncio.gather(*(client.execute_async(PLAIN, "echo", number) for number in range(100))),
            list(range(100)),
        )

    _run(main())


def awaited_calls_have_deadlines() -> None:
    """The wait ends at the deadline, and a call that waits holds no other up."""

    async def main() -> None:
        with refused(DirtyTimeoutError):
            await client.options(timeout=0.2).execute_async(PLAIN, "nap", 0.6)
        same(await client.execute_async(PLAIN, "echo", 1), 1)

    _run(main())


def a_cancelled_task_leaves_no_trace() -> None:
    """Its action is interrupted, and whoever calls next gets its own answer."""

    async def main() -> None:
        for turn in range(3):
            key = f"rest{turn}"
            await asyncio.to_thread(stash.delete, TABLE, key)
            task = asyncio.ensure_future(client.execute_async(PLAIN, "rest", key))
            await _until(key, "resting")
            same(await client.execute_async(PLAIN, "echo", "meanwhile"), "meanwhile")
            task.cancel()
            with refused(asyncio.CancelledError):
                await task
            same([await client.execute_async(PLAIN, "echo", n) for n in range(5)], [0, 1, 2, 3, 4])
            await _until(key, "interrupted")

    _run(main())


def streams_can_be_awaited() -> None:
    """Read with `async for`, left early, and fed from an asynchronous generator."""

    async def items() -> AsyncIterator[int]:
        for number in range(20):
            await asyncio.sleep(0)
            yield number

    async def main() -> None:
        same([n async for n in client.stream_async(PLAIN, "numbers", 100)], list(range(100)))
        same([n async for n in client.stream_async(PLAIN, "numbers_async", 10)], list(range(10)))
        same([n async for n in client.stream_async(PLAIN, "doubled", items())], list(range(0, 40, 2)))
        same(await client.execute_async(PLAIN, "total", items()), 190)
        await asyncio.to_thread(stash.put, TABLE, "left-async", "open")
        async with client.stream_async(PLAIN, "numbers", 10**9, "left-async") as chunks:
            same(await chunks.__anext__(), 0)
        await _until("left-async", "closed")
        with refused(DirtyAppError):
            [n async for n in client.stream_async(PLAIN, "fail_after", 2)]
        same(await client.execute_async(PLAIN, "echo", 1), 1)

    _run(main())


def a_running_loop_is_not_blocked_unawares() -> None:
    """The plain methods refuse, and say which to use."""

    async def main() -> None:
        with refused(DirtyUsageError) as told:
            client.execute(PLAIN, "echo", 1)
        same("execute_async" in str(told.error), True)
        with refused(DirtyUsageError):
            next(client.stream(PLAIN, "numbers", 1))
        same(client.options(allow_blocking=True).execute(PLAIN, "echo", 1), 1)

    _run(main())


CHECKS = (
    calls_can_be_awaited, gathered_calls_keep_apart, awaited_calls_have_deadlines, a_cancelled_task_leaves_no_trace,
    streams_can_be_awaited, a_running_loop_is_not_blocked_unawares,
)  # fmt: skip
