"""An app whose methods say what they return; workers host it, and callers have its class for a typed client."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import AsyncIterator, Iterator

import msgspec
from hostler_dirty import DirtyApp, action


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Match(msgspec.Struct):
    name: str
    score: float
    at: datetime.datetime


class Shapes(DirtyApp):
    """Every kind of result that msgpack itself knows only as lists, maps and texts."""

    def pair(self, a: int, b: str) -> tuple[int, str]:
        return a, b

    def point(self, x: int, y: int) -> Point:
        return Point(x, y)

    def points(self, count: int) -> dict[str, list[Point]]:
        return {"all": [Point(i, -i) for i in range(count)]}

    def match(self, name: str) -> Match:
        return Match(name, 0.5, self.when())

    def when(self) -> datetime.datetime:
        return datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)

    def day(self) -> datetime.date:
        return datetime.date(2026, 2, 3)

    def unique(self, *values: int) -> set[int]:
        return set(values)

    def maybe(self, value: int) -> Point | None:
        return Point(value, value) if value else None

    def unlike(self) -> int:
        return "no number"  # type: ignore[return-value]

    def numbers(self, count: int) -> Iterator[int]:
        yield from range(count)

    def line(self, count: int) -> Iterator[Point]:
        for i in range(count):
            yield Point(i, i)

    async def later(self, count: int) -> AsyncIterator[tuple[int, str]]:
        for i in range(count):
            yield i, str(i)

    @action(batch=4, max_wait=0.001)
    def mirrored(self, x: list[int], y: list[int]) -> list[Point]:
        return [Point(b, a) for a, b in zip(x, y, strict=True)]

    async def soon(self, value: int) -> tuple[int, ...]:
        return value, value
