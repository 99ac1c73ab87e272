"""The inline executor behaves as the pool does, as far as one process can."""

from __future__ import annotations

import asyncio

import numpy
import pytest
from hostler_dirty import (
    DirtyAppError,
    DirtyAppNotFoundError,
    DirtyPayloadTooLargeError,
    DirtyQueueFullError,
    DirtySerializationError,
    DirtyTimeoutError,
    DirtyUsageError,
    DirtyWorkerError,
    get_dirty_client,
    stash,
)
from hostler_dirty.testing import inline

ECHO = "pool_apps:Echo"


@pytest.fixture
def pool():
    with inline(
        ECHO, "pool_apps:Batched", "pool_apps:Nested", "pool_apps:Pickled", "pool_apps:Reraising"
    ) as pool:
        yield pool


def test_calls(pool):
    client = get_dirty_client()
    assert client.execute(ECHO, "echo", (1, 2)) == [1, 2]  # as through the wire
    assert (client.execute(ECHO, "echo", numpy.arange(3)) == numpy.arange(3)).all()
    assert client.execute(ECHO, "async_add", 1, 2) == 3
    assert client.execute("pool_apps:Nested", "twice", 2) == 4
    assert client.execute("pool_apps:Batched", "square", 3) == 9
    assert client.execute("pool_apps:Pickled", "echo", {1}) == {1}
    assert client.execute(ECHO, "total", iter([1, 2])) == 3
    assert pool.calls[0] == (ECHO, "echo")
    assert client.execute(ECHO, "info")["remaining"] > 0


def test_errors(pool):
    client = get_dirty_client()
    with pytest.raises(DirtyAppError, match="no"):
        client.execute(ECHO, "fail")
    with pytest.raises(DirtyAppError):
        client.execute("pool_apps:Batched", "square", -1)
    with pytest.raises(ZeroDivisionError):
        client.execute("pool_apps:Reraising", "divide", 1, 0)
    for app, action in (("no:App", "x"), (ECHO, "close"), (ECHO, "nothing")):
        with pytest.raises(DirtyAppNotFoundError):
            client.execute(app, action)
    with pytest.raises(DirtySerializationError):
        client.execute(ECHO, "echo", object())
    with pytest.raises(DirtyTimeoutError):
        client.options(timeout=0.01).execute(ECHO, "sleep", 0.05)
    with pytest.raises(DirtyUsageError):
        client.execute(ECHO, "count_to", 2)
    pool.fail_next(DirtyQueueFullError(retry_after=1.0))
    with pytest.raises(DirtyQueueFullError):
        client.execute(ECHO, "echo", 1)
    pool.fail_next(DirtyWorkerError(), ECHO)
    assert client.execute("pool_apps:Batched", "plain") == "plain"
    with pytest.raises(DirtyWorkerError):
        client.execute(ECHO, "echo", 1)


def test_streams_and_stash(pool):
    client = get_dirty_client()
    assert list(client.stream(ECHO, "count_to", 3)) == [0, 1, 2]
    assert list(client.stream(ECHO, "async_count", 3)) == [0, 1, 2]
    assert list(client.stream(ECHO, "echo", 3)) == [3]
    with client.stream(ECHO, "count_to", 10**9) as chunks:
        assert next(chunks) == 0
    with pytest.raises(DirtyAppError):
        list(client.stream(ECHO, "fail_after", 1))
    stash.put("t", "k", [1])
    assert stash.get("t", "k") == [1]
    assert stash.get("t", "missing", 5) == 5

    async def main():
        assert await client.execute_async(ECHO, "echo", 1) == 1
        return [chunk async for chunk in client.stream_async(ECHO, "count_to", 3)]

    assert asyncio.run(main()) == [0, 1, 2]


def test_a_small_limit_and_the_end():
    with inline(ECHO, max_payload=1 << 16), pytest.raises(DirtyPayloadTooLargeError):
        get_dirty_client().execute(ECHO, "echo", b"x" * 100_000)
    from hostler_dirty import DirtyConnectionError

    with pytest.raises(DirtyConnectionError):
        get_dirty_client(1).execute(ECHO, "echo", 1)


def test_an_awaited_call_is_interrupted(pool):
    """At its deadline, and when its task is cancelled: the loop's end waits for no thread that still spins."""

    async def main():
        client = get_dirty_client()
        with pytest.raises(DirtyTimeoutError):
            await client.options(timeout=0.1).execute_async(ECHO, "spin", 300)
        task = asyncio.ensure_future(client.options(timeout=0).execute_async(ECHO, "spin", 300))
        await asyncio.sleep(0)
        await client.execute_async(ECHO, "echo", 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await client.execute_async(ECHO, "echo", 2)

    assert asyncio.run(main()) == 2


def test_a_reader_that_leaves_interrupts_what_makes_the_next_chunk(pool):
    """Its generator is closed in the middle of its work."""

    async def main():
        chunks = get_dirty_client().options(timeout=0).stream_async(ECHO, "spinning")
        assert await chunks.__anext__() == "first"
        reading = asyncio.ensure_future(chunks.__anext__())
        await get_dirty_client().execute_async(ECHO, "echo", 1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await chunks.aclose()

    asyncio.run(main())


def test_a_running_loop_is_not_blocked(pool):
    """As in production, so that a test finds it."""

    async def main():
        with pytest.raises(DirtyUsageError, match="execute_async"):
            get_dirty_client().execute(ECHO, "echo", 1)
        with pytest.raises(DirtyUsageError):
            get_dirty_client().stream(ECHO, "count_to", 1)

    asyncio.run(main())


def test_input_streams_of_every_kind(pool):
    """Asynchronous ones need a caller that can read them; one that fails fails its call."""

    async def numbers():
        for number in range(5):
            yield number

    def failing():
        yield 1
        raise RuntimeError("no more")

    async def main():
        client = get_dirty_client()
        assert await client.execute_async(ECHO, "total", numbers()) == 10
        assert await client.execute_async(ECHO, "async_total", numbers()) == 10
        assert [n async for n in client.stream_async(ECHO, "doubled", numbers())] == [0, 2, 4, 6, 8]

    asyncio.run(main())
    client = get_dirty_client()
    with pytest.raises(DirtyUsageError, match="execute_async"):
        client.execute(ECHO, "total", numbers())
    with pytest.raises(DirtyAppError, match="input stream failed"):
        client.execute(ECHO, "total", failing())
    assert client.options(collect=True).execute(ECHO, "count_to", 3) == [0, 1, 2]
