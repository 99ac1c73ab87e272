"""Nothing keeps a lease for ever: not a reader who takes his time, a late frame, or a caller who has been stopped."""

from __future__ import annotations

import asyncio
import gc
import os
import signal

import pytest
from hostler_dirty import (
    DirtySerializationError,
    _lines,
    _scheduler,
    _served,
    _wire,
    close_dirty_client_async,
    get_dirty_client,
)
from hostler_dirty._calling import DEFAULT, next_id, plan
from pool_by_hand import Worker
from pool_harness import wait_for
from pool_helpers import Background

ECHO = "pool_apps:Echo"


def leases_come_back(pool):
    wait_for(lambda: pool.status()["leases"] == 0, "the return of every lease")


@pytest.fixture
def nobody_looks(monkeypatch):
    """The arbiter does not search for leases that nobody uses, which would hide one that got lost."""
    monkeypatch.setattr(_scheduler, "OVERDUE", 1e9)


def run(work):
    async def main():
        try:
            return await work(get_dirty_client(60))
        finally:
            await close_dirty_client_async()

    return asyncio.run(main())


@pytest.fixture
def no_collector():
    """What is forgotten goes at once, or not at all."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_streams_that_tasks_leave_by_break(nobody_looks, no_collector, make_pool):
    pool = make_pool("Echo")

    async def work(client):
        async def leave():
            async for chunk in client.stream_async(ECHO, "count_to", 50):
                if chunk == 20:
                    break

        for _ in range(20):
            await asyncio.gather(*(leave() for _ in range(5)))
        return await client.execute_async(ECHO, "echo", 1)

    assert run(work) == 1
    leases_come_back(pool)


def test_a_reader_that_takes_its_time_over_a_finished_stream(nobody_looks, make_pool):
    pool = make_pool("Echo")

    async def work(client):
        stream = client.stream_async(ECHO, "count_to", 50)  # all of it fits into the window
        got = [await stream.__anext__()]
        await asyncio.to_thread(wait_for, lambda: pool.noted("stream closed"), "the stream's end")
        for _ in range(3):  # the arbiter offers them the channel that the reader still reads
            answers = await asyncio.gather(*(client.execute_async(ECHO, "echo", i) for i in range(5)))
            assert answers == list(range(5))
        got += [chunk async for chunk in stream]
        assert got == list(range(50))
        return await client.execute_async(ECHO, "echo", 1)

    assert run(work) == 1
    leases_come_back(pool)


def test_a_call_that_stops_half_way_up(make_pool, caller):
    make_pool("Echo")
    line = _lines.Line()
    asked = plan(ECHO, "echo", (b"x" * 1000,), {}, DEFAULT, {}, 0)
    channel, kept = line.lease(asked)
    data = channel.call(asked, keep=kept)
    line.send(channel, data[:500], 0)
    assert caller.execute(ECHO, "echo", 1) == 1
    line.send(channel, data[500:], 0)  # too late, and so it is told
    frame = line.receive(channel, asked)[0]
    assert frame.kind == _wire.STALE
    line.close()


def test_a_lease_that_nobody_uses_is_found(make_pool, caller):
    """Its caller has been stopped between the grant and the call; the arbiter had not told it that it may keep it."""
    pool = make_pool("Echo")
    work = Background()
    work.call("running", caller.execute, ECHO, "hold", "end", "held")
    wait_for(lambda: pool.slot()["running"], "a running call")
    line = _lines.Line()
    for number in range(2):  # two wait, so that the first gets a lease for one call only
        line._send(plan(ECHO, "echo", (number,), {}, DEFAULT, {}, 0).lease([]))
    wait_for(lambda: pool.status()["apps"][ECHO]["queued"] == 2, "two that wait")
    work.call("last", caller.execute, ECHO, "echo", "served")
    wait_for(lambda: pool.status()["apps"][ECHO]["queued"] == 3, "three that wait")
    pool.open("end")
    assert work.join() == {"running": "held", "last": "served"}
    line.close()


def test_a_caller_stopped_by_a_signal(make_pool, client):
    pool = make_pool("Echo")
    child = os.fork()
    if not child:
        code = 1
        try:
            for number in range(10**9):
                assert client.execute(ECHO, "echo", number) == number
                if os.path.exists(f"{pool.notes}.enough"):
                    break
            code = 0
        finally:
            os._exit(code)
    for number in range(5):
        os.kill(child, signal.SIGSTOP)
        assert [client.execute(ECHO, "echo", i) for i in range(3)] == [0, 1, 2]
        os.kill(child, signal.SIGCONT)
        assert client.execute(ECHO, "echo", number) == number
    pool.open("enough")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_who_is_told_twice_that_it_has_to_queue_again(make_pool, client):
    """A lease that came back before its caller could be told: the arbiter has the worker tell it again."""
    pool = make_pool("Echo")
    line = _lines.Line()
    asked = plan(ECHO, "echo", (1,), {}, DEFAULT, {}, 0)
    channel, _ = line.lease(asked)
    lease = channel.lease
    assert client.execute(ECHO, "echo", 1) == 1  # so it has been recalled, and the idle worker told nobody
    work = Background()
    work.call("running", client.execute, ECHO, "hold", "end", "held")
    wait_for(lambda: pool.slot()["running"], "a running call")
    line.send(channel, channel.call(asked, keep=True), 0)
    frame = line.receive(channel, asked)[0]  # meanwhile it says that it stands behind another call
    assert (frame.kind, frame.deadline) == (_wire.STALE, lease)
    assert "running" not in work.results
    pool.open("end")
    work.join()
    line.close()


def test_a_call_that_was_let_in_is_not_turned_away(make_pool, client):
    """The queue is full when its lease is taken back from it: it had been in the queue before the others."""
    pool = make_pool("Queued")
    path = "pool_apps:Queued"
    work = Background()
    line = _lines.Line()
    asked = plan(path, "echo", (1,), {}, DEFAULT, {}, 0)
    line.lease(asked)  # the only slot
    for number in range(2):
        work.call(number, client.execute, path, "hold", f"end {number}", number)
    wait_for(lambda: pool.slot()["running"] and pool.status()["apps"][path]["queued"] == 1, "one that runs")
    work.call(2, client.execute, path, "hold", "end 2", 2)
    wait_for(lambda: pool.status()["apps"][path]["queued"] == 2, "a full queue")
    asked.renewed, asked.id = True, next_id()
    line._send(asked.lease([]))
    wait_for(lambda: pool.status()["apps"][path]["queued"] == 3, "a place in it")
    for number in range(3):
        pool.open(f"end {number}")
    assert work.join() == {0: 0, 1: 1, 2: 2}
    line.close()


def test_a_call_that_gave_up_twice_keeps_nothing(make_pool, client):
    """Both leases of a call that asked twice come back when it says that it wants none."""
    pool = make_pool("Echo", workers=2)
    line = _lines.Line()
    asked = plan(ECHO, "echo", (1,), {}, DEFAULT, {}, 0)
    line.lease(asked)
    line.lease(asked)
    assert pool.status()["leases"] == 2
    line.unlease(asked)
    leases_come_back(pool)
    line.close()


def test_a_channel_that_its_worker_never_saw(make_pool):
    """What a caller says it has closed gives its lease back, whatever the worker knows of it."""
    pool = make_pool("Echo")
    line = _lines.Line()
    asked = plan(ECHO, "echo", (1,), {}, DEFAULT, {}, 0)
    channel, _ = line.lease(asked)
    again = plan(ECHO, "echo", (2,), {}, DEFAULT, {}, 0)
    line._send(again.lease([channel.id]))
    while (frame := line._next(0)).kind != _wire.GRANT:
        continue
    assert frame.call == again.id
    assert pool.status()["leases"] == 1
    line.close()


def test_a_call_that_cannot_be_sent_keeps_nothing(make_pool, caller):
    pool = make_pool("Echo")
    with pytest.raises(DirtySerializationError):
        caller.execute(ECHO, "echo", object())
    assert (
        get_dirty_client(60).execute(ECHO, "total", iter(range(4))) == 6
    )  # it wants a slot that nobody shares
    assert pool.slot()["served"] == 1


class Quick:
    """An app whose calls are very short."""

    def init(self):
        self.count = 0

    def echo(self, value):
        return value

    def three(self):
        yield from range(3)


@pytest.fixture
def make_worker(monkeypatch):
    """Workers by hand, to whom every call is a short one."""
    monkeypatch.setattr(_served.Turns, "SHORT", 10**15)
    monkeypatch.setattr(_served.Turns, "QUANTUM", 10**15)
    workers = []

    def make(threads=1):
        workers.append(Worker(Quick, threads))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


def lingering(worker, channel, first=1):
    """Calls by leases that go back at once, until one of them may stay for a moment; that one."""
    for lease in range(first, first + 9):
        worker.call(channel, lease, "echo", lease)
        worker.turn()
        if worker.answer(channel)[0].flags & _wire.KEPT:
            return lease
        assert worker.told() == [(_wire.DONE, lease)]
    raise AssertionError("no lease lingers")


@pytest.mark.parametrize("kind", [_wire.CREDIT, _wire.INPUT, _wire.INPUT_END])
def test_what_comes_late_of_a_call_is_no_call(make_worker, kind):
    worker = make_worker()
    channel = worker.introduce()
    lease = lingering(worker, channel)
    assert worker.told() == []
    channel.sock.sendall(_wire.pack(kind, 1))
    worker.turn()
    assert worker.told() == [(_wire.DONE, lease)]


def test_a_caller_in_a_row_keeps_its_lease_for_a_moment(make_worker):
    worker = make_worker()
    channel = worker.introduce()
    lease = lingering(worker, channel)
    worker.call(channel, lease, "echo", "again")
    worker.turn()
    assert worker.answer(channel)[0].kind == _wire.RESULT
    assert worker.told() == []
    wait_for(lambda: worker.turn() or worker.told() == [(_wire.DONE, lease)], "the moment's end")


def test_a_caller_that_leaves_in_its_moment(make_worker):
    worker = make_worker()
    channel = worker.introduce()
    lease = lingering(worker, channel)
    channel.sock.close()
    wait_for(
        lambda: worker.turn() or worker.told()[:1] in ([(_wire.GONE, 1)], [(_wire.DONE, lease)]), "its return"
    )


def test_beside_other_threads_no_lease_waits_for_a_call_to_end(make_worker):
    worker = make_worker(threads=2)
    first, second = worker.introduce(), worker.introduce()
    lease = lingering(worker, first)
    worker.call(second, 100, "echo", "for who knows how long", keep=True)
    worker.turn()
    assert worker.told() == [(_wire.DONE, lease)]


def test_a_recall_of_a_call_that_is_not_read_yet(make_worker):
    worker = make_worker()
    channel = worker.introduce()
    worker.call(channel, 7, "echo", 1, keep=True)
    worker.recall(channel, 7)
    assert worker.told() == [(_wire.DONE, 7)]
    worker.turn()
    (frame,) = worker.answer(channel)
    assert (frame.kind, frame.deadline) == (_wire.STALE, 7)
    asked = worker.call(channel, 8, "echo", 2, keep=True)
    worker.turn()
    (frame,) = worker.answer(channel)
    assert (frame.kind, frame.call) == (_wire.RESULT, asked.id)
    worker.recall(channel, 8)
    worker.recall(channel, 7)  # once more, and too late
    assert worker.told() == [(_wire.DONE, 8), (_wire.DONE, 7)]


@pytest.mark.parametrize("octets", [10, 200_000])
def test_what_lies_in_shared_memory_is_not_taken_for_another_call(make_worker, octets):
    """A worker in a long call tells that a lease is taken back, and has yet to read the call that came by it."""
    worker = make_worker()
    channel = worker.introduce()
    worker.call(channel, 7, "echo", b"x" * octets, keep=True)
    worker.runtime.current[0] = ("a long call", channel)
    worker.recall(channel, 7)
    worker.runtime.current[0] = None
    (told,) = worker.answer(channel)
    assert (told.kind, told.call, told.deadline) == (_wire.STALE, 0, 7)
    assert channel.unread(told) == (octets > 65536)  # then the channel is closed, and the call with it
    worker.turn()
    (told,) = worker.answer(channel)
    assert told.call
    assert not channel.unread(told)  # it has been read, and thrown away


def test_a_channel_that_is_closed_before_its_call_is_read(make_worker):
    worker = make_worker()
    channel = worker.introduce()
    worker.call(channel, 5, "echo", 1)
    channel.sock.close()
    worker.turn()
    assert worker.told() == [(_wire.GONE, 1)]
    assert not worker.runtime.channels
