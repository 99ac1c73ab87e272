"""The typed client: results as the annotations of the app's methods say, blocking and awaited."""

from __future__ import annotations

import asyncio
import datetime

import pytest
from hostler_dirty import DirtyUsageError, close_dirty_client_async, dirty
from pool_harness import Pool
from pool_shapes import Match, Point, Shapes

WHEN = datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)
SHAPES = [
    ("pair", (1, "b"), (1, "b")),
    ("point", (1, 2), Point(1, 2)),
    ("points", (2,), {"all": [Point(0, 0), Point(1, -1)]}),
    ("match", ("m",), Match("m", 0.5, WHEN)),
    ("when", (), WHEN),
    ("day", (), datetime.date(2026, 2, 3)),
    ("unique", (3, 3, 4), {3, 4}),
    ("maybe", (0,), None),
    ("maybe", (5,), Point(5, 5)),
    ("soon", (7,), (7, 7)),
    ("unlike", (), "no number"),
    ("mirrored", (1, 2), Point(2, 1)),
]


@pytest.fixture(scope="module")
def pool():
    made = Pool(["pool_shapes:Shapes"])
    yield made
    made.close()


@pytest.mark.parametrize(("action", "arguments", "wanted"), SHAPES)
def test_results_are_what_the_annotation_says(pool, action, arguments, wanted):
    shapes = dirty(Shapes).options(timeout=60)

    async def awaited():
        try:
            return await getattr(shapes.aio, action)(*arguments)
        finally:
            await close_dirty_client_async()

    for got in (getattr(shapes, action)(*arguments), asyncio.run(awaited())):
        assert got == wanted
        assert type(got) is type(wanted)


def test_streams(pool):
    shapes = dirty(Shapes).options(timeout=60)
    assert list(shapes.numbers.stream(3)) == [0, 1, 2]
    assert list(shapes.line.stream(2)) == [Point(0, 0), Point(1, 1)]
    assert list(shapes.pair.stream(1, "b")) == [(1, "b")]  # a plain result is a stream of one chunk
    assert shapes.options(collect=True).numbers(3) == [0, 1, 2]
    assert shapes.options(collect=True).line(1) == [Point(0, 0)]
    with shapes.line.stream(100000) as line:
        assert next(line) == Point(0, 0)
    with pytest.raises(DirtyUsageError, match="collect=True"):
        shapes.numbers(3)

    async def awaited():
        got = [chunk async for chunk in shapes.aio.numbers.stream(3)]
        got.append([chunk async for chunk in shapes.pair.stream_async(1, "b")])
        async with shapes.later.stream_async(3) as later:
            got.append([chunk async for chunk in later])
        got.append(await shapes.options(collect=True).aio.numbers(2))
        with pytest.raises(DirtyUsageError, match="collect=True"):
            await shapes.aio.numbers(3)
        await close_dirty_client_async()
        return got

    assert asyncio.run(awaited()) == [0, 1, 2, [(1, "b")], [(0, "0"), (1, "1"), (2, "2")], [0, 1]]


def test_what_the_class_has_not(pool):
    with pytest.raises(AttributeError):
        dirty(Shapes).nothing_such(1)
