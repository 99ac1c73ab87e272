"""Batched actions: the right result for the right caller, whatever happens to the others."""

from __future__ import annotations

import asyncio

import pytest
from hostler_dirty import DirtyAppError, DirtyTimeoutError, close_dirty_client_async, get_dirty_client
from pool_harness import wait_for
from pool_helpers import Background

PATH = "pool_apps:Batched"


@pytest.fixture
def pool(make_pool):
    return make_pool("Batched")


def sizes(pool):
    return [int(line.split()[1]) for line in pool.noted("batch ")]


def test_one_alone(pool, client):
    assert client.execute(PATH, "square", 3) == 9
    assert client.execute(PATH, "plain") == "plain"
    assert client.execute(PATH, "square", number=4) == 16
    assert sizes(pool) == [1, 1]


def test_many_at_once(pool):
    async def main():
        client = get_dirty_client(20)
        got = await asyncio.gather(
            *(client.execute_async(PATH, "square", n) for n in range(-3, 29)), return_exceptions=True
        )
        await close_dirty_client_async()
        return got

    got = asyncio.run(main())
    for n, result in zip(range(-3, 29), got, strict=True):
        if n < 0:
            assert isinstance(result, DirtyAppError)
            assert result.error_type == "ValueError"
        else:
            assert result == n * n
    assert max(sizes(pool)) in range(2, 9)
    assert sum(sizes(pool)) == 32


def test_members_that_leave_or_expire(pool, client):
    async def main():
        quick = get_dirty_client(20)
        first = asyncio.ensure_future(quick.execute_async(PATH, "slow", "first"))
        while not (await asyncio.to_thread(pool.slot))["running"]:
            await asyncio.sleep(0.005)
        leaver = asyncio.ensure_future(quick.execute_async(PATH, "slow", "leaver"))
        late = asyncio.ensure_future(quick.options(timeout=0.1).execute_async(PATH, "slow", "late"))
        stays = asyncio.ensure_future(quick.execute_async(PATH, "slow", "stays"))
        await asyncio.sleep(0.05)
        leaver.cancel()
        await asyncio.wait([leaver, late])
        pool.open("first")
        results = await asyncio.gather(first, leaver, late, stays, return_exceptions=True)
        await close_dirty_client_async()
        return results

    first, leaver, late, stays = asyncio.run(main())
    assert (first, stays) == ("first", "stays")
    assert isinstance(leaver, asyncio.CancelledError)
    assert isinstance(late, DirtyTimeoutError)
    assert not [line for line in pool.noted("run") if "late" in line or "leaver" in line]


def test_a_wrong_number_of_results(pool, client):
    with pytest.raises(DirtyAppError, match="one item for each"):
        client.execute(PATH, "wrong", 1)
    assert client.execute(PATH, "plain") == "plain"


def test_a_batch_at_its_deadline(pool, client):
    work = Background()
    for i in range(3):
        work.call(i, client.options(timeout=0.25).execute, PATH, "slow", str(i))
    assert all(isinstance(result, DirtyTimeoutError) for result in work.join().values())
    pool.idle()
    assert client.execute(PATH, "slow", "next") == "next"
    wait_for(lambda: pool.slot()["generation"] == 1, "the same worker")
