"""More callers than workers: very short calls share a worker's slots, and nobody stands behind a long one."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hostler_dirty import DirtyTimeoutError, close_dirty_client_async, get_dirty_client
from pool_harness import wait_for
from pool_helpers import Background

ECHO = "pool_apps:Echo"


class Crowd:
    """Threads that call without a pause; each notes how many answers were its own."""

    def __init__(self, count):
        self._stop = threading.Event()
        self.counts, self.odd = [0] * count, []
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, index):
        client = get_dirty_client(60)
        while not self._stop.is_set():
            said = (index, self.counts[index])
            try:
                if client.execute(ECHO, "echo", said) != list(said):
                    self.odd.append(said)
            except Exception as error:
                self.odd.append(error)
            self.counts[index] += 1

    def moves(self):
        """Wait until each of them has had further answers."""
        before = list(self.counts)
        wait_for(
            lambda: all(now > then + 20 for now, then in zip(self.counts, before, strict=True)), "answers"
        )

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not self.odd


def shared(pool, more_than):
    """Wait until more leases are out than there are slots."""
    wait_for(lambda: pool.status()["leases"] > more_than, "shared slots")


def test_short_calls_share_a_slot_until_a_long_one_comes(make_pool, client):
    pool = make_pool("Echo")
    crowd, work = Crowd(4), Background()
    shared(pool, 2)
    work.call("long", client.execute, ECHO, "hold", "end", "long")
    wait_for(lambda: pool.status()["apps"][ECHO]["queued"] == 4, "every other caller in the queue")
    assert pool.slot()["running"] == 1
    pool.open("end")
    assert work.join() == {"long": "long"}
    crowd.moves()
    crowd.end()


def test_nobody_stands_behind_a_long_call_while_another_worker_is_free(make_pool, client):
    pool = make_pool("Echo", workers=2)
    crowd, work = Crowd(6), Background()
    shared(pool, 3)
    work.call("long", client.execute, ECHO, "hold_noted", "end")
    wait_for(lambda: pool.noted("holds end"), "the long call")
    for _ in range(3):
        crowd.moves()
    assert "long" not in work.results
    pool.open("end")
    assert work.join() == {"long": "end"}
    crowd.end()


def test_tasks_of_a_loop_do_not_stand_behind_a_long_call_either(make_pool):
    pool = make_pool("Echo")
    client = get_dirty_client(60)

    async def main():
        over, counts = asyncio.Event(), [0] * 4

        async def call(index):
            while not over.is_set():
                assert await client.execute_async(ECHO, "echo", index) == index
                counts[index] += 1

        tasks = [asyncio.create_task(call(i)) for i in range(4)]
        await asyncio.to_thread(shared, pool, 2)
        long = asyncio.create_task(client.execute_async(ECHO, "hold", "end", "long"))
        await asyncio.to_thread(
            wait_for, lambda: pool.status()["apps"][ECHO]["queued"] == 4, "every other caller in the queue"
        )
        pool.open("end")
        assert await long == "long"
        over.set()
        await asyncio.gather(*tasks)
        assert all(counts)
        await close_dirty_client_async()

    asyncio.run(main())


def test_what_was_given_up_behind_a_long_call_is_not_executed(make_pool, client):
    pool = make_pool("Echo")
    crowd, work = Crowd(3), Background()
    shared(pool, 2)
    crowd.end()
    work.call("long", client.execute, ECHO, "hold", "end")
    wait_for(lambda: pool.slot()["running"], "the long call")
    for _ in range(4):
        with pytest.raises(DirtyTimeoutError) as caught:
            client.options(timeout=0.005).execute(ECHO, "sleep", 0, "late")
        assert caught.value.stage == "queue"
    pool.open("end")
    work.join()
    assert client.execute(ECHO, "echo", 1) == 1
    assert not pool.noted("slept late")


def test_a_stream_of_input_has_a_slot_of_its_own(make_pool, client):
    pool = make_pool("Echo")
    crowd, work = Crowd(3), Background()
    shared(pool, 2)
    for i in range(5):
        work.call(i, client.execute, ECHO, "total", iter(range(200)))
    assert work.join() == dict.fromkeys(range(5), sum(range(200)))
    crowd.moves()
    crowd.end()
