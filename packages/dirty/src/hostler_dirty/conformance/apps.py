"""The apps that the checks call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from hostler_dirty import DirtyApp, action, current_call, get_dirty_client, stash

TABLE = "conformance"
PLAIN, PICKLES = "hostler_dirty.conformance.apps:Plain", "hostler_dirty.conformance.apps:Pickles"
PATHS = (PLAIN, PICKLES)
REST = 60.0
"""Seconds; nobody waits so long."""


class Plain(DirtyApp):
    """Everything that a call can do, by the default codec."""

    reraise = (ZeroDivisionError,)
    stashes = [TABLE]  # noqa: RUF012

    def init(self) -> None:
        self.calls = 0

    def echo(self, value: Any = None, **named: Any) -> Any:
        return named or value

    async def echo_async(self, value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    def count(self) -> int:
        self.calls += 1
        return self.calls

    def kind(self, value: Any) -> str:
        return type(value).__name__

    def info(self) -> dict[str, Any]:
        call = current_call()
        return {
            "app": call.app,
            "action": call.action,
            "remaining": call.remaining(),
            "priority": call.priority,
            "trace": call.trace,
        }

    def nested(self, value: Any) -> Any:
        return [get_dirty_client().execute(PICKLES, "echo", value), "nested"]

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    async def rest(self, key: str) -> None:
        """Until it is interrupted, which it tells."""
        stash.put(TABLE, key, "resting")
        try:
            await asyncio.sleep(REST)
        except BaseException:
            await asyncio.to_thread(stash.put, TABLE, key, "interrupted")
            raise

    def fail(self, message: str) -> None:
        raise ValueError(message)

    def divide(self, number: float) -> float:
        return 1 / number

    def unsendable(self) -> Any:
        return {"good": 1, "bad": [object()]}

    def big(self, octets: int) -> bytes:
        return b"x" * octets

    @action(batch=4, max_wait=0.02)
    def square(self, number: list[int]) -> list[Any]:
        return [ValueError("negative") if one < 0 else one * one for one in number]

    def numbers(self, count: int, key: str = "") -> Iterator[int]:
        try:
            yield from range(count)
        finally:
            if key:
                stash.put(TABLE, key, "closed")

    async def numbers_async(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    def slowly(self, count: int, pause: float) -> Iterator[int]:
        for number in range(count):
            time.sleep(pause)
            yield number

    def chunks(self, count: int, octets: int) -> Iterator[bytes]:
        for number in range(count):
            yield bytes([number]) * octets

    def fail_after(self, count: int) -> Iterator[int]:
        yield from range(count)
        raise ValueError("after")

    def total(self, numbers: Iterable[int], factor: int = 1) -> int:
        return sum(numbers) * factor

    def doubled(self, numbers: Iterable[int]) -> Iterator[int]:
        for number in numbers:
            yield 2 * number

    def put(self, key: str, value: Any) -> None:
        stash.put(TABLE, key, value)

    def _private(self) -> str:
        return "secret"


class Pickles(DirtyApp):
    """Another codec, for values that the default one does not carry."""

    codec = "pickle"

    def echo(self, value: Any) -> Any:
        return value

    def kind(self, value: Any) -> str:
        return type(value).__name__

    def each(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            yield value, type(value).__name__

    def union(self, *, sets: Iterable[set[int]]) -> set[int]:
        return set().union(*sets)
