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
