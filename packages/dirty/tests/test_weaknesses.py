"""W1 to W20: what the reference of this feature gets wrong under faults, each as a test of the right behaviour."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from hostler_dirty import (
    DirtyAppNotFoundError,
    DirtyError,
    DirtyPayloadTooLargeError,
    DirtyQueueFullError,
    DirtyTimeoutError,
    DirtyUsageError,
    DirtyWorkerError,
    close_dirty_client_async,
    get_dirty_client,
)
from pool_harness import Pool, wait_for
from pool_helpers import Background, alive

ECHO = "pool_apps:Echo"
pytestmark = pytest.mark.load


def run(work):
    async def main():
        try:
            return await work(get_dirty_client(20))
        finally:
            await close_dirty_client_async()

    return asyncio.run(main())


def test_w01_a_cancelled_call_never_answers_the_next_one(make_pool):
    make_pool("Echo")

    async def work(client):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.execute_async(ECHO, "sleep", 60, "first"), 0.1)
        return [await client.execute_async(ECHO, "echo", i) for i in range(20)]

    assert run(work) == list(range(20))


def test_w02_gather_on_one_client(make_pool):
    make_pool("Echo", workers=2)

    async def work(client):
        return await asyncio.gather(*(client.execute_async(ECHO, "echo", i) for i in range(100)))

    assert run(work) == list(range(100))


def test_w03_a_stream_left_early_leaves_the_client_usable(make_pool, client):
    make_pool("Echo")
    for _ in range(10):
        for chunk in client.stream(ECHO, "count_to", 10**6):
            if chunk == 5:
                break
        assert client.execute(ECHO, "echo", "next") == "next"


def test_w04_the_queue_of_a_killed_worker_is_served(make_pool, client):
    pool = make_pool("Echo")
    work = Background()
    work.call("running", client.execute, ECHO, "sleep", 60)
    wait_for(lambda: pool.slot()["running"], "a running call")
    for i in range(2):
        work.call(i, client.execute, ECHO, "echo", i)
    wait_for(lambda: pool.status()["apps"][ECHO]["queued"] == 2, "the queue")
    os.kill(pool.slot()["pid"], signal.SIGKILL)
    results = work.join()
    assert isinstance(results["running"], DirtyWorkerError)
    assert (results[0], results[1]) == (0, 1)


def test_w05_a_hung_call_does_not_disable_its_worker(make_pool, client):
    make_pool("Echo", timeout=2.0)
    pid = client.execute(ECHO, "pid")
    with pytest.raises(DirtyTimeoutError):
        get_dirty_client().execute(ECHO, "sleep", 60)
    assert [client.execute(ECHO, "pid") for _ in range(5)] == [pid] * 5


def test_w06_a_timeout_of_zero_is_none(make_pool):
    pool = make_pool("Echo", timeout=0.0)
    client = get_dirty_client()
    assert client.execute(ECHO, "info")["deadline"] is None
    assert client.execute(ECHO, "sleep", 0.3, "slept") == "slept"
    assert pool.slot()["state"] == "ready"


def test_w07_threads_of_a_worker_run_side_by_side(make_pool, client):
    pool = make_pool("Echo", threads=4)
    work = Background()
    for i in range(4):
        work.call(i, client.execute, ECHO, "hold", "end", i)
    wait_for(lambda: pool.slot()["running"] == 4, "four calls at once")
    pool.open("end")
    assert work.join() == {i: i for i in range(4)}


def test_w08_quick_calls_do_not_wait_behind_a_busy_worker(make_pool, client):
    pool = make_pool("Echo", workers=2)
    work = Background()
    work.call("long", client.execute, ECHO, "hold", "end", "long")
    wait_for(lambda: any(s["running"] for s in pool.status()["slots"]), "the long call")
    assert [client.execute(ECHO, "echo", i) for i in range(4)] == [0, 1, 2, 3]
    assert "long" not in work.results  # all of them came back while it ran
    pool.open("end")
    work.join()


def test_w09_a_worker_gets_calls_when_it_is_ready(make_pool, client):
    pool = make_pool("SlowInit", boot="background")
    work = Background()
    work.call("early", client.options(no_worker_wait=60).execute, "pool_apps:SlowInit", "ok")
    wait_for(lambda: pool.status()["apps"]["pool_apps:SlowInit"]["queued"] == 1, "the early call")
    pool.open("init")
    assert work.join() == {"early": "ok"}


def test_w10_a_failing_init_does_not_spin(make_pool, client, tmp_path):
    mark = tmp_path / "fail"
    mark.touch()
    pool = make_pool("FailingInit", boot="background", environment={"DIRTY_FAIL": str(mark)})
    wait_for(lambda: len(pool.noted("try")) >= 2, "two tries")
    assert len(pool.noted("try")) <= 5


def test_w11_a_killed_arbiter_leaves_no_orphans_and_callers_find_the_next_one(make_pool, client):
    pool = make_pool("Echo", workers=2)
    client.execute(ECHO, "echo", 1)
    old = pool.pids()
    pool.signal(signal.SIGKILL)
    pool.wait()
    wait_for(lambda: not any(alive(pid) for pid in old), "the end of the orphans")
    work = Background()
    work.call("meanwhile", client.execute, ECHO, "echo", 2)
    pool.start()
    assert work.join() == {"meanwhile": 2}
    assert client.execute(ECHO, "echo", 3) == 3


def test_w12_two_servers_do_not_disturb_each_other(make_pool, client):
    first = make_pool("Echo")
    pids = first.pids()
    second = Pool(["pool_apps:Echo"])
    assert client.execute(ECHO, "pid") in second.pids()
    second.close()
    assert all(alive(pid) for pid in pids)
    assert first.pids() == pids


def test_w13_callers_of_another_user_reach_the_pool(make_pool):
    make_pool("Echo")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            code = 0 if get_dirty_client(20).execute(ECHO, "echo", 5) == 5 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_w14_stalled_readers_do_not_block_the_others(make_pool, client):
    pool = make_pool("Echo", workers=3, stream_stall_timeout=2.0)
    stalled = [client.stream(ECHO, "chunks", 10_000, 60_000) for _ in range(2)]
    for stream in stalled:
        next(stream)
    assert [client.execute(ECHO, "echo", i) for i in range(20)] == list(range(20))
    wait_for(lambda: not any(s["running"] for s in pool.status()["slots"]), "the end of the stalled streams")
    for stream in stalled:
        stream.close()


def test_w15_a_caller_that_leaves_stops_its_action(make_pool):
    pool = make_pool("Echo")

    async def work(client):
        task = asyncio.ensure_future(client.execute_async(ECHO, "rest"))
        while not pool.noted("resting"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await client.execute_async(ECHO, "echo", 1)

    assert run(work) == 1
    assert pool.noted("cancelled")


def test_w16_large_payloads_are_quick_and_too_large_ones_typed(make_pool, client):
    make_pool("Echo", max_payload=100 << 20)
    assert len(client.execute(ECHO, "big", 66 << 20)) == 66 << 20
    value = b"x" * (66 << 20)
    assert client.execute(ECHO, "kind", value)[0] == "bytes"
    with pytest.raises(DirtyPayloadTooLargeError):
        client.execute(ECHO, "echo", value + value)
    assert client.execute(ECHO, "echo", 1) == 1


def test_w17_life_cycle_methods_are_no_actions(make_pool, client):
    pool = make_pool("Echo", "Dispatching")
    for app in ("Echo", "Dispatching"):
        for name in ("init", "close", "warmup", "health", "_private", "__call__", "__del__", ""):
            with pytest.raises(DirtyAppNotFoundError):
                client.execute(f"pool_apps:{app}", name)
    assert not pool.noted("close")


def test_w18_blocking_a_loop_is_told(make_pool, client):
    make_pool("Echo")

    async def view():
        return client.execute(ECHO, "echo", 1)

    with pytest.raises(DirtyUsageError, match="execute_async"):
        asyncio.run(view())


def test_w19_back_pressure_priorities_batches_and_metrics_exist(make_pool, client):
    pool = make_pool("Queued", "Batched")
    work = Background()
    work.call("running", client.execute, "pool_apps:Queued", "hold", "end")
    wait_for(lambda: pool.slot()["running"], "a running call")
    for i in range(2):
        work.call(i, client.options(priority=i).execute, "pool_apps:Queued", "echo", i)
    wait_for(lambda: pool.status()["apps"]["pool_apps:Queued"]["queued"] == 2, "a full queue")
    with pytest.raises(DirtyQueueFullError):
        client.execute("pool_apps:Queued", "echo", 2)
    pool.open("end")
    work.join()
    for i in range(16):
        work.call(f"b{i}", client.execute, "pool_apps:Batched", "square", i)
    results = work.join()
    assert [results[f"b{i}"] for i in range(16)] == [i * i for i in range(16)]
    assert pool.status()["slots"][0]["served"] > 0


def test_w20_a_caller_that_waits_keeps_its_own_process_alive(make_pool, client):
    from hostler_dirty._place import HERE

    pool = make_pool("Echo")
    beats: list[float] = []

    def beat():
        beats.append(time.monotonic())
        if len(beats) == 2:
            pool.open("end")

    HERE.keep_alive = beat
    try:
        client.execute(ECHO, "hold", "end")
    finally:
        HERE.keep_alive = None
    assert len(beats) >= 2


def test_errors_have_one_root():
    assert issubclass(DirtyWorkerError, DirtyError)
