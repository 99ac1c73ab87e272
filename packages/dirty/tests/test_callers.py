"""What a caller may send, leave and cancel, for threads and for tasks alike: every answer belongs to its call."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import random
import signal
import threading

import pytest
from hostler_dirty import (
    DirtyAppError,
    DirtyError,
    DirtyPayloadTooLargeError,
    DirtySerializationError,
    DirtyStreamStalledError,
    DirtyTimeoutError,
    DirtyWorkerError,
    _pool,
    close_dirty_client_async,
    get_dirty_client,
)
from pool_callers import Looped
from pool_harness import wait_for

ECHO = "pool_apps:Echo"


def run(work):
    async def main():
        try:
            return await work(get_dirty_client(60))
        finally:
            await close_dirty_client_async()

    return asyncio.run(main())


@pytest.fixture
def pool(echo_pool):
    echo_pool.join()
    return echo_pool


# -- values ---------------------------------------------------------------------------------------------


def test_odd_values_come_back_or_are_a_typed_error(pool, caller):
    for value in (2**63 - 1, -(2**63), 2**64 - 1, (), [], {}, "", b"", {1: 2}, {"a": {2: [None]}}, math.inf):
        assert caller.execute(ECHO, "echo", [value]) == [[] if value == () else value]
    assert sorted(caller.execute(ECHO, "echo", {1, 2})) == [1, 2]
    assert math.isnan(caller.execute(ECHO, "echo", math.nan))
    deep: list = []
    for _ in range(10_000):
        deep = [deep]
    for value in (2**64, -(2**63) - 1, deep, object(), {"a": [1, object()]}, "\ud800"):
        with pytest.raises(DirtySerializationError):
            caller.execute(ECHO, "echo", value)
    assert caller.execute(ECHO, "echo", 1) == 1


def test_what_fails_in_the_worker_is_typed_and_the_worker_lives(pool, caller):
    pid = caller.execute(ECHO, "pid")
    with pytest.raises(DirtySerializationError) as told:
        caller.execute(ECHO, "unsendable")
    assert "['bad'][1]" in told.value.path
    with pytest.raises(DirtyAppError) as told:
        caller.execute(ECHO, "fail_badly")
    assert "Odd" in told.value.error_type
    with pytest.raises(DirtyAppError) as told:
        caller.execute(ECHO, "broken_property")
    assert told.value.error_type == "ZeroDivisionError"
    assert caller.execute(ECHO, "pid") == pid


def test_too_large_in_either_direction(make_pool, caller):
    make_pool("Echo", max_payload=1 << 20)
    pid = caller.execute(ECHO, "pid")
    with pytest.raises(DirtyPayloadTooLargeError):
        caller.execute(ECHO, "echo", b"x" * (2 << 20))
    with pytest.raises(DirtyPayloadTooLargeError):
        caller.execute(ECHO, "big", 2 << 20)
    assert caller.execute(ECHO, "pid") == pid


# -- streams --------------------------------------------------------------------------------------------


def closed(pool, count):
    wait_for(lambda: len(pool.noted("stream closed")) == count, "the generator's end")


def test_a_stream_left_by_break_by_an_error_and_by_the_collector(make_pool, caller):
    pool = make_pool("Echo")
    pid = caller.execute(ECHO, "pid")
    with caller.stream(ECHO, "count_to", 10**9) as chunks:
        for chunk in chunks:
            if chunk == 70:
                break
    closed(pool, 1)
    with pytest.raises(ZeroDivisionError), caller.stream(ECHO, "count_to", 10**9) as chunks:
        1 / next(chunks)
    closed(pool, 2)
    stream = caller.stream(ECHO, "count_to", 10**9)
    assert [next(stream), next(stream)] == [0, 1]
    del stream
    gc.collect()
    closed(pool, 3)
    assert [caller.execute(ECHO, "echo", i) for i in range(20)] == list(range(20))
    assert caller.execute(ECHO, "pid") == pid


def test_readers_that_stall_on_every_worker(make_pool, caller, client):
    pool = make_pool("Echo", workers=2, stream_stall_timeout=1.0)
    stalled = [caller.stream(ECHO, "chunks", 100_000, 50_000) for _ in range(2)]
    for stream in stalled:
        assert len(next(stream)) == 50_000
    assert client.execute(ECHO, "echo", 1) == 1  # when the first of them has been given up
    wait_for(lambda: not any(slot["running"] for slot in pool.status()["slots"]), "two free workers")
    for stream in stalled:
        with pytest.raises((DirtyStreamStalledError, DirtyWorkerError)):
            list(stream)
    assert [slot["generation"] for slot in pool.status()["slots"]] == [1, 1]


# -- leaving --------------------------------------------------------------------------------------------


def test_cancelled_a_thousand_times(make_pool):
    pool = make_pool("Echo")
    choice = random.Random(8)

    async def work(client):
        for number in range(1000):
            task = asyncio.ensure_future(client.execute_async(ECHO, "echo", ("cancelled", number)))
            for _ in range(choice.randrange(6)):
                await asyncio.sleep(0)
            task.cancel()
            assert await client.execute_async(ECHO, "echo", number) == number
            try:
                assert await task == ["cancelled", number]
            except asyncio.CancelledError:
                continue

    run(work)
    assert pool.slot()["generation"] == 1
    wait_for(lambda: pool.status()["leases"] == 0, "the return of every lease")


def test_a_hundred_calls_at_once_on_one_client(make_pool):
    pool = make_pool("Echo", workers=2)

    async def work(client):
        async def ask(number):
            if number % 3 == 0:
                return [chunk async for chunk in client.stream_async(ECHO, "count_to", number)]
            if number % 3 == 1:
                return await client.execute_async(ECHO, "total", iter(range(number)))
            return await client.execute_async(ECHO, "echo", number)

        return await asyncio.gather(*map(ask, range(100)))

    wanted = [list(range(n)) if n % 3 == 0 else sum(range(n)) if n % 3 == 1 else n for n in range(100)]
    assert run(work) == wanted
    wait_for(lambda: pool.status()["leases"] == 0, "the return of every lease")


@pytest.mark.parametrize("threads", [1, 3])
def test_an_action_sees_that_nobody_wants_it(make_pool, client, threads):
    pool = make_pool("Echo", threads=threads)

    async def work(other):
        for number in range(threads):
            task = asyncio.ensure_future(other.execute_async(ECHO, "watch"))
            await asyncio.to_thread(
                wait_for, lambda number=number: len(pool.noted("watching")) == number + 1, "the action"
            )
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(work)
    told = f"{ECHO} watch True DirtyCancelled"
    wait_for(lambda: pool.noted(told) == [told] * threads, "what the call says")
    assert client.execute(ECHO, "echo", 1) == 1


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "count", [60, pytest.param(100_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
def test_calls_that_end_just_at_their_deadline(make_pool, caller, threads, count):
    pool = make_pool("Echo", threads=threads)
    pid = caller.execute(ECHO, "pid")
    for number in range(count):
        try:
            caller.options(timeout=0.004 + (number % 7) * 0.001).execute(ECHO, "spin", 0.006)
        except DirtyTimeoutError:
            assert caller.execute(ECHO, "echo", number) == number
    assert caller.execute(ECHO, "pid") == pid
    assert "Traceback" not in pool.logged()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_slot_killed_fifty_times_under_load(make_pool, monkeypatch):
    monkeypatch.setattr(_pool, "LONGEST_SERVING", 0.05)
    pool = make_pool("Patient", "Limited", workers=3)
    table = [slot["apps"] for slot in pool.status()["slots"]]
    path = "pool_apps:Patient"
    stop, odd = threading.Event(), []
    callers = [get_dirty_client(60), Looped()]

    def load(caller):
        while not stop.is_set():
            try:
                assert caller.execute(path, "add", 1, b=2) == 3
                assert list(caller.stream(path, "count_to", 5)) == list(range(5))
            except DirtyWorkerError:
                continue
            except BaseException as error:
                odd.append(error)

    threads = [threading.Thread(target=load, args=(callers[i % 2],)) for i in range(6)]
    for thread in threads:
        thread.start()
    for generation in range(1, 51):
        slot = pool.settled(generation)
        threading.Event().wait(random.random() * 0.05)
        os.kill(slot["pid"], signal.SIGKILL)
    assert pool.settled(51)["restarts"] == 50
    stop.set()
    for thread in threads:
        thread.join(60)
    callers[1].close()
    assert not odd
    assert [slot["apps"] for slot in pool.status()["slots"]] == table
    assert [slot["restarts"] for slot in pool.status()["slots"]] == [50, 0, 0]


@pytest.mark.load
@pytest.mark.parametrize("words", [("reload",), ("reload", "pool_apps:Versioned")])
def test_a_reload_under_load(make_pool, tmp_path, words):
    """Threads and tasks call without a pause: nobody sees an error, and at the end everybody sees the new code."""
    version = tmp_path / "pool_version.py"
    version.write_text("ANSWER = 1\n")
    settings = {"extra_path": [tmp_path], "environment": {"PYTHONDONTWRITEBYTECODE": "1"}}
    pool = make_pool("Versioned", "Other", workers=2, **settings)
    path = "pool_apps:Versioned"
    stop, odd, counts = threading.Event(), [], [0] * 4
    looped = Looped()

    def load(index, caller):
        while not stop.is_set():
            try:
                assert caller.execute(path, "ask") in (1, 22)
                assert list(caller.stream("pool_apps:Other", "count_to", 3)) == [0, 1, 2]
            except BaseException as error:
                odd.append(error)
            counts[index] += 1

    threads = [
        threading.Thread(target=load, args=(i, (get_dirty_client(60), looped)[i % 2])) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    wait_for(lambda: all(count > 20 for count in counts), "calls by everybody")
    version.write_text("ANSWER = 22\n")
    assert pool.ctl(*words)["ok"]
    before = list(counts)
    wait_for(
        lambda: all(now > then + 20 for now, then in zip(counts, before, strict=True)), "calls by everybody"
    )
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not odd
    assert {looped.execute(path, "ask"), get_dirty_client(60).execute(path, "ask")} == {22}
    looped.close()
    wait_for(lambda: pool.noted().count("close 1") == 2, "the old apps' close")


def test_both_see_one_error_tree(pool, caller):
    for action, arguments in (("fail", ()), ("nothing_such", ()), ("unsendable", ())):
        with pytest.raises(DirtyError):
            caller.execute(ECHO, action, *arguments)
