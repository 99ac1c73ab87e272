"""The failure table: who dies, hangs or leaves, and what each caller then sees."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import os
import signal
import struct
import termios
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hostler_dirty import (
    DirtyAppError,
    DirtyCancelledError,
    DirtyError,
    DirtyNoWorkersAvailableError,
    DirtyQueueFullError,
    DirtyTimeoutError,
    DirtyWorkerError,
    _pool,
    close_dirty_client_async,
    get_dirty_client,
)
from hostler_dirty._calling import Channel
from pool_harness import wait_for
from pool_helpers import Background, alive

ECHO = "pool_apps:Echo"


def busy(pool, slot=0):
    return wait_for(lambda: pool.slot(slot)["running"], "a running call")


def unread():
    """Whether a worker has yet to read something that one of this process's callers has sent it."""
    sockets = [o.sock for o in gc.get_objects() if isinstance(o, Channel)]
    numbers = [sock.fileno() for sock in sockets if sock.fileno() >= 0]
    return any(struct.unpack("i", fcntl.ioctl(n, termios.TIOCOUTQ, bytes(4)))[0] for n in numbers)


def test_a_killed_worker_fails_only_the_call_it_ran(make_pool, caller):
    pool = make_pool("Echo")
    work = Background()
    work.call("running", caller.execute, ECHO, "sleep", 30)
    busy(pool)
    for i in range(5):
        work.call(i, caller.execute, ECHO, "echo", i)
    wait_for(lambda: pool.status()["apps"][ECHO]["queued"] == 5, "five queued calls")
    os.kill(pool.slot()["pid"], signal.SIGKILL)
    results = work.join()
    error = results.pop("running")
    assert isinstance(error, DirtyWorkerError)
    assert error.details["signal"] == "SIGKILL"
    assert error.details["slot"] == 0
    assert error.details["generation"] == 1
    assert results == {i: i for i in range(5)}
    slot = pool.settled(2)
    assert slot["apps"] == [ECHO]
    assert slot["restarts"] == 1


def test_a_worker_that_exits_or_crashes(make_pool, client):
    pool = make_pool("Echo")
    with pytest.raises(DirtyWorkerError) as told:
        client.execute(ECHO, "leave", 7)
    assert told.value.details["exit_code"] == 7
    pool.settled(2)
    with pytest.raises(DirtyWorkerError) as told:
        client.execute(ECHO, "die", int(signal.SIGSEGV))
    assert told.value.details["signal"] == "SIGSEGV"
    pool.settled(3)
    assert client.execute(ECHO, "echo", 1) == 1


def test_a_call_that_no_worker_began_is_tried_elsewhere(make_pool, caller):
    pool = make_pool("Echo", workers=1)
    assert caller.execute(ECHO, "echo", 1) == 1
    pid = pool.slot()["pid"]
    os.kill(pid, signal.SIGSTOP)  # it takes the call into its socket, and never begins it
    work = Background()
    work.call("call", caller.execute, ECHO, "info")
    wait_for(unread, "the call in the stopped worker's socket")
    os.kill(pid, signal.SIGKILL)
    info = work.join()["call"]
    assert info["attempt"] == 2


def test_an_idempotent_call_runs_again(make_pool, caller, tmp_path):
    make_pool("Echo")
    assert caller.execute(ECHO, "die_once", str(tmp_path / "mark")) == 2


def test_without_a_worker_calls_fail_at_once(make_pool, caller):
    pool = make_pool("Echo", "Patient")
    assert caller.execute(ECHO, "echo", 1) == 1
    caller.execute("pool_apps:Patient", "echo", 1)
    os.kill(pool.slot()["pid"], signal.SIGKILL)
    wait_for(lambda: pool.slot()["restarts"] == 1, "the death")
    try:
        caller.execute(ECHO, "echo", 1)  # the next worker may be ready already
    except DirtyNoWorkersAvailableError as error:
        told = error.state in ("booting", "backoff"), bool(error.retry_after), error.app_path
        assert told == (True, True, ECHO)
    assert caller.execute("pool_apps:Patient", "echo", 2) == 2
    assert caller.options(no_worker_wait=60).execute(ECHO, "echo", 3) == 3


@pytest.mark.load
def test_a_hanging_call_is_interrupted_at_its_deadline(make_pool, caller):
    pool = make_pool("Echo", workers=3)
    pids, work = pool.pids(), Background()
    for action, arguments in (("sleep", (60,)), ("spin", (60,)), ("async_rest", ())):
        work.call(action, caller.options(timeout=2).execute, ECHO, action, *arguments)
    for error in work.join().values():
        assert isinstance(error, DirtyTimeoutError)
        assert error.stage == "run"
    wait_for(lambda: pool.noted("async cancelled"), "the cancellation of the task")
    pool.idle()
    assert pool.pids() == pids
    assert [caller.execute(ECHO, "echo", i) for i in range(9)] == list(range(9))


@pytest.mark.load
@pytest.mark.parametrize("action", ["hold_gil", "stubborn"])
def test_a_call_that_heeds_nothing_is_killed(make_pool, client, action):
    pool = make_pool("Impatient")
    path = "pool_apps:Impatient"
    with pytest.raises(DirtyTimeoutError):
        client.options(timeout=2).execute(path, action, 60)
    pool.settled(2)
    assert client.execute(path, "pid") == pool.slot()["pid"]
    assert "does not heed" in pool.logged()
    assert f"in {action}" in pool.logged()  # the stacks, told by the dying process


@pytest.mark.load
def test_a_worker_with_a_call_past_its_grace_begins_no_other(make_pool, client):
    pool, path = make_pool("Reluctant", threads=2), "pool_apps:Reluctant"
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(client.execute, path, "held", "end")
        with pytest.raises(DirtyTimeoutError):
            client.options(timeout=1).execute(path, "stubborn", 60)
        wait_for(lambda: "is to end: timeout" in pool.logged(), "the end of new calls")
        with pytest.raises(DirtyNoWorkersAvailableError):
            client.execute(path, "pid")
        before = pool.slot()["pid"]
        pool.open("end")
        assert held.result() == before
    pool.settled(2)
    assert client.execute(path, "pid") == pool.slot()["pid"] != before
    assert "does not heed" in pool.logged()


@pytest.mark.load
def test_a_shielded_part_is_finished(make_pool, client):
    pool = make_pool("Echo")
    with pytest.raises(DirtyTimeoutError):
        client.options(timeout=1.5).execute(ECHO, "shielded", 2.5)
    wait_for(lambda: pool.noted("shield whole"), "the end of the shielded part")
    assert client.execute(ECHO, "echo", 1) == 1
    assert pool.slot()["generation"] == 1


@pytest.mark.load
def test_threads_are_interrupted_too(make_pool, client):
    pool = make_pool("Echo", threads=3)
    pids = {client.execute(ECHO, "pid") for _ in range(3)}
    work = Background()
    for i in range(3):
        work.call(i, client.options(timeout=0.5).execute, ECHO, "spin", 60)
    assert all(isinstance(r, DirtyTimeoutError) for r in work.join().values())
    pool.idle()
    assert {client.execute(ECHO, "pid") for _ in range(3)} == pids


def test_a_deadline_in_the_queue(make_pool, caller):
    pool = make_pool("Echo")
    work = Background()
    work.call("running", caller.execute, ECHO, "hold", "end")
    busy(pool)
    with pytest.raises(DirtyTimeoutError) as told:
        caller.options(timeout=0.3).execute(ECHO, "sleep", 0, "never")
    assert told.value.stage == "queue"
    with pytest.raises(DirtyTimeoutError):
        caller.options(max_queue_wait=0.2).execute(ECHO, "sleep", 0, "never")
    pool.open("end")
    work.join()
    assert caller.execute(ECHO, "echo", 1) == 1
    assert not pool.noted("never")


def test_a_full_queue(make_pool, caller):
    pool = make_pool("Queued")
    path = "pool_apps:Queued"
    work = Background()
    work.call("running", caller.execute, path, "hold", "end")
    busy(pool)
    for i in range(2):
        work.call(i, caller.execute, path, "echo", i)
    wait_for(lambda: pool.status()["apps"][path]["queued"] == 2, "a full queue")
    with pytest.raises(DirtyQueueFullError) as told:
        caller.execute(path, "echo", 9)
    assert told.value.retry_after > 0
    pool.open("end")
    results = work.join()
    assert results[0] == 0
    assert results[1] == 1


def test_priorities(make_pool, caller):
    pool = make_pool("Echo")
    work = Background()
    work.call("running", caller.execute, ECHO, "hold", "end")
    busy(pool)
    for number, priority in enumerate((7, 3, 0)):
        work.call(priority, caller.options(priority=priority).execute, ECHO, "sleep", 0, f"p{priority}")
        wait_for(lambda n=number: pool.status()["apps"][ECHO]["queued"] == n + 1, "the queue")
    pool.open("end")
    work.join()
    assert pool.noted("slept") == ["slept p0", "slept p3", "slept p7"]


def test_cancelled_tasks_leave_no_trace(make_pool):
    pool = make_pool("Echo")

    async def main():
        client = get_dirty_client(20)
        for i in range(200):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(client.execute_async(ECHO, "sleep", 0.002, None), 0.001 * (i % 4))
            assert await client.execute_async(ECHO, "echo", i) == i
        task = asyncio.ensure_future(client.execute_async(ECHO, "rest"))
        while not pool.noted("resting"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.execute_async(ECHO, "echo", "after") == "after"
        await close_dirty_client_async()

    asyncio.run(main())
    assert pool.noted("cancelled") == ["cancelled DirtyCancelled"]
    assert pool.slot()["generation"] == 1


def test_a_caller_that_dies_frees_the_worker(make_pool, client):
    pool = make_pool("Echo")
    pid = os.fork()
    if pid == 0:
        try:
            get_dirty_client(60).execute(ECHO, "rest")
        finally:
            os._exit(1)
    wait_for(lambda: pool.noted("resting"), "the running call")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert client.execute(ECHO, "echo", 1) == 1
    assert pool.noted("cancelled")


@pytest.mark.load
def test_a_killed_arbiter(make_pool, caller):
    pool = make_pool("Echo", workers=2)
    assert caller.execute(ECHO, "echo", 1) == 1
    work = Background()
    for i in range(2):
        work.call(f"running {i}", caller.execute, ECHO, "hold", "end", f"run {i}")
    wait_for(lambda: sum(s["running"] for s in pool.status()["slots"]) == 2, "two running calls")
    old = pool.pids()
    for i in range(2):
        work.call(f"queued {i}", caller.execute, ECHO, "echo", i)
    wait_for(lambda: pool.status()["apps"][ECHO]["queued"] == 2, "two queued calls")
    pool.signal(signal.SIGKILL)
    pool.wait()
    pool.open("end")
    pool.start()
    results = work.join()
    assert results == {"running 0": "run 0", "running 1": "run 1", "queued 0": 0, "queued 1": 1}
    wait_for(lambda: not any(alive(pid) for pid in old), "the end of the old workers")
    assert len(pool.noted("close")) == 2
    assert caller.execute(ECHO, "echo", 2) == 2


@pytest.mark.parametrize("action", ["hold", "stubborn"])
def test_no_worker_outlives_the_server(make_pool, client, action):
    """Its arbiter has been killed, so it finishes what it runs; but then the server ends too."""
    pool = make_pool("Echo", graceful_timeout=0.5)
    pid = client.execute(ECHO, "pid")
    work = Background()
    work.call("running", client.execute, ECHO, action, 600 if action == "stubborn" else "never opened")
    busy(pool)
    pool.signal(signal.SIGKILL)
    pool.wait()
    assert alive(pid)
    os.close(pool.bound.descriptors.pop("bell"))  # the main arbiter's, and the last
    wait_for(lambda: not alive(pid), "the worker's end")
    assert isinstance(work.join()["running"], DirtyError)
    assert "the server is gone" in pool.logged()


def test_a_stopped_arbiter_holds_no_deadline_up(make_pool, caller):
    pool = make_pool("Echo")
    assert caller.execute(ECHO, "echo", 1) == 1
    pool.signal(signal.SIGSTOP)
    try:
        assert caller.execute(ECHO, "echo", 2) == 2  # the kept lease needs no arbiter
        with pytest.raises(DirtyTimeoutError):
            caller.options(timeout=0.3).execute("pool_apps:Other", "echo", 1)
    finally:
        pool.signal(signal.SIGCONT)
    assert caller.execute(ECHO, "echo", 3) == 3


def test_a_stopped_worker_holds_no_deadline_up(make_pool, caller):
    make_pool("Echo")
    pid = caller.execute(ECHO, "pid")
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(DirtyTimeoutError):
            caller.options(timeout=0.4).execute(ECHO, "echo", 1)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert caller.execute(ECHO, "pid") == pid


@pytest.mark.load
def test_workers_killed_again_and_again_under_load(make_pool, client, monkeypatch):
    monkeypatch.setattr(_pool, "LONGEST_SERVING", 0.1)
    pool = make_pool("Patient", "Limited", workers=3)
    table = [slot["apps"] for slot in pool.status()["slots"]]
    path = "pool_apps:Patient"
    stop = threading.Event()
    odd: list = []

    def load():
        while not stop.is_set():
            try:
                if client.execute(path, "add", 1, b=2) != 3:
                    odd.append("wrong")
            except DirtyWorkerError:
                continue
            except BaseException as error:
                odd.append(error)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for kill in range(6):
        slot = pool.settled(1, kill % 3)
        os.kill(slot["pid"], signal.SIGKILL)
        pool.settled(slot["generation"] + 1, kill % 3)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not odd
    assert [slot["apps"] for slot in pool.status()["slots"]] == table
    assert sum(slot["restarts"] for slot in pool.status()["slots"]) == 6


def test_garbage_closes_only_its_own_connection(make_pool, client):
    from hostler_dirty import _calling, _line

    pool = make_pool("Echo")
    assert client.execute(ECHO, "echo", 1) == 1
    before = len(os.listdir(f"/proc/{pool.pid}/fd"))
    for garbage in (b"\0" * 100, b"HD" + b"\xff" * 100, os.urandom(4096), b"DH\x01"):
        sock = _calling.ring()
        sock.sendall(garbage)
        if garbage != b"DH\x01":
            sock.settimeout(20)
            while sock.recv(65536):
                pass
        sock.close()
    assert client.execute(ECHO, "echo", 2) == 2
    wait_for(lambda: len(os.listdir(f"/proc/{pool.pid}/fd")) <= before, "closed descriptors")
    ours, theirs = _line.pair()
    ours.close()
    theirs.close()


def test_a_caller_may_not_manage(make_pool, client):
    from hostler_dirty import _calling, _line, _wire

    make_pool("Echo")
    with _calling.ring() as sock:
        sock.settimeout(20)
        sock.sendall(_wire.pack(_wire.MANAGE, 1, _line.encode(["remove", "1"])))
        while sock.recv(65536):
            pass
    for name in ("close", "init", "health", "warmup", "_private", "__init__", "__class__"):
        with pytest.raises(DirtyAppError):
            client.execute(ECHO, name)
    assert client.execute(ECHO, "counted") == 1


def test_errors_are_dirty_errors():
    for kind in (DirtyAppError, DirtyCancelledError, DirtyQueueFullError, DirtyWorkerError):
        assert issubclass(kind, DirtyError)
