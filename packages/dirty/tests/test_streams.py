"""Streams in both directions, and what happens when a reader leaves or stalls."""

from __future__ import annotations

import asyncio

import pytest
from hostler_dirty import (
    DirtyAppError,
    DirtyTimeoutError,
    DirtyUsageError,
    DirtyWorkerError,
    close_dirty_client_async,
    get_dirty_client,
)
from pool_harness import wait_for

ECHO = "pool_apps:Echo"


@pytest.fixture
def pool(make_pool):
    return make_pool("Echo")


def run(work):
    async def main():
        try:
            return await work(get_dirty_client(20))
        finally:
            await close_dirty_client_async()

    return asyncio.run(main())


def test_chunks_in_order(pool, client):
    assert list(client.stream(ECHO, "count_to", 5000)) == list(range(5000))
    assert [len(c) for c in client.stream(ECHO, "chunks", 20, 300_000)] == [300_000] * 20
    assert list(client.stream(ECHO, "count_to", 0)) == []
    assert list(client.stream(ECHO, "echo", 7)) == [7]
    assert client.execute(ECHO, "echo", 1) == 1


def test_execute_on_a_stream(pool, client):
    with pytest.raises(DirtyUsageError, match="stream"):
        client.execute(ECHO, "count_to", 3)
    assert client.options(collect=True).execute(ECHO, "count_to", 3) == [0, 1, 2]


def test_an_error_in_a_stream_comes_after_its_chunks(pool, client):
    got = []
    with pytest.raises(DirtyAppError, match="after"):
        got.extend(client.stream(ECHO, "fail_after", 3))
    assert got == [0, 1, 2]
    assert client.execute(ECHO, "echo", 1) == 1


def test_leaving_a_stream_closes_the_generator(pool, client):
    with client.stream(ECHO, "count_to", 10**9) as chunks:
        assert next(chunks) == 0
    wait_for(lambda: pool.noted("stream closed"), "the generator's end")
    for chunk in client.stream(ECHO, "count_to", 10**9, 0.01):
        if chunk == 2:
            break
    wait_for(lambda: len(pool.noted("stream closed")) == 2, "the second generator's end")
    assert client.execute(ECHO, "echo", 1) == 1


@pytest.mark.load
def test_a_generator_that_sleeps_is_interrupted_when_its_reader_leaves(pool, client):
    with client.stream(ECHO, "count_to", 3, 30.0):
        stream = client.stream(ECHO, "count_to", 3, 30.0)
        import threading

        threading.Timer(0.3, stream.close).start()
    with pytest.raises(DirtyTimeoutError):
        list(client.options(timeout=2).stream(ECHO, "count_to", 3, 30.0))
    wait_for(lambda: pool.noted("stream closed"), "the generator's end")
    assert client.execute(ECHO, "echo", 1) == 1


def test_a_worker_that_dies_in_a_stream(pool, client):
    import os
    import signal

    stream = client.stream(ECHO, "count_to", 10**6, 0.01)
    assert next(stream) == 0
    os.kill(pool.slot()["pid"], signal.SIGKILL)
    with pytest.raises(DirtyWorkerError):
        list(stream)
    pool.settled(2)
    assert client.execute(ECHO, "echo", 1) == 1


def test_input_streams(pool, client):
    assert client.execute(ECHO, "total", iter(range(1000)), factor=2) == 999_000
    assert list(client.stream(ECHO, "doubled", iter(range(500)))) == [2 * i for i in range(500)]
    assert client.execute(ECHO, "async_total", (i for i in range(300))) == sum(range(300))
    assert client.execute(ECHO, "echo", 1) == 1


def test_an_input_stream_that_fails(pool, client):
    def numbers():
        yield 1
        raise RuntimeError("source broke")

    with pytest.raises(RuntimeError, match="source broke"):
        client.execute(ECHO, "total", numbers())
    assert client.execute(ECHO, "echo", 1) == 1


def test_async_streams(pool):
    async def work(client):
        assert [c async for c in client.stream_async(ECHO, "count_to", 2000)] == list(range(2000))
        async with client.stream_async(ECHO, "count_to", 10**9, 0.001) as chunks:
            async for chunk in chunks:
                if chunk == 3:
                    break

        async def numbers():
            for i in range(200):
                yield i

        assert await client.execute_async(ECHO, "total", numbers()) == sum(range(200))
        assert [c async for c in client.stream_async(ECHO, "doubled", iter(range(200)))] == [
            2 * i for i in range(200)
        ]
        with pytest.raises(DirtyAppError):
            async for _ in client.stream_async(ECHO, "fail_after", 1):
                pass
        return await client.execute_async(ECHO, "echo", 5)

    assert run(work) == 5
    wait_for(lambda: pool.noted("stream closed"), "the generator's end")


@pytest.mark.load
def test_a_slow_reader_stalls_only_its_own_worker(make_pool, client):
    pool = make_pool("Echo", workers=2, stream_stall_timeout=1.0)
    stalled = client.stream(ECHO, "chunks", 100_000, 50_000)
    assert len(next(stalled)) == 50_000
    for i in range(50):
        assert client.execute(ECHO, "echo", i) == i
    wait_for(lambda: all(s["running"] == 0 for s in pool.status()["slots"]), "the end of the stalled stream")
    with pytest.raises(Exception, match=r"took nothing|died|broke"):
        for _ in stalled:
            pass
    assert client.execute(ECHO, "echo", 1) == 1
