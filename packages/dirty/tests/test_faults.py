"""The machine refuses: no descriptors, no shared memory, no processes, no space for logs."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import signal
import sys
import traceback

import pytest
from hostler_dirty import (
    DirtyConnectionError,
    DirtyError,
    DirtyNoWorkersAvailableError,
    DirtyWorkerError,
    close_dirty_client,
    close_dirty_client_async,
    get_dirty_client,
)
from hostler_dirty._hub import HUBS
from hostler_dirty._lines import PILE
from pool_harness import Pool, wait_for
from pool_helpers import Background

ECHO, HUNGRY, LOUD = "pool_apps:Echo", "pool_demanding:Hungry", "pool_demanding:Loud"
LARGE = b"x" * 300_000


def in_child(function):
    """Run it in a process of its own, whose limits are its own too."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            os.write(write, traceback.format_exc().encode()[-60_000:])
        finally:
            os._exit(code)
    os.close(write)
    with open(read, "rb") as file:
        told = file.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, told.decode()


def limit(kind, value):
    resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def shared_memory():
    """Whether the channel that this process would use next has shared memory."""
    (channel,) = PILE.take("", 0).channels.values()
    return not channel.bare


# -- shared memory ------------------------------------------------------------------------------------------


def test_a_caller_that_gets_no_shared_memory(echo_pool):
    echo_pool.join()

    def caller():
        client = get_dirty_client(60)
        limit(resource.RLIMIT_FSIZE, 0)
        for _ in range(3):
            assert client.execute(ECHO, "echo", LARGE) == LARGE
            assert list(client.stream(ECHO, "chunks", 3, 100_000)) == [b"c" * 100_000] * 3
        limit(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
        assert client.execute(ECHO, "echo", LARGE) == LARGE
        assert shared_memory()

    in_child(caller)


def test_an_asyncio_caller_that_gets_no_shared_memory(echo_pool):
    echo_pool.join()

    async def main():
        client = get_dirty_client(60)
        limit(resource.RLIMIT_FSIZE, 0)
        for _ in range(3):
            assert await client.execute_async(ECHO, "echo", LARGE) == LARGE
        limit(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
        assert await client.execute_async(ECHO, "echo", LARGE) == LARGE
        (hub,) = HUBS._hubs.values()
        assert [wire.channel.bare for wire in hub.wires.values()] == [False]
        await close_dirty_client_async()

    in_child(lambda: asyncio.run(main()))


@pytest.mark.parametrize("how", ["size", "seal"])
def test_shared_memory_that_does_not_grow(echo_pool, how):
    echo_pool.join()

    def caller():
        client = get_dirty_client(60)
        assert client.execute(ECHO, "echo", 1) == 1
        if how == "seal":
            line = PILE.take(ECHO, 0)
            (channel,) = line.channels.values()
            fcntl.fcntl(channel.memory.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
            PILE.put(line)
        else:
            limit(resource.RLIMIT_FSIZE, 4096)
        for _ in range(3):
            assert client.execute(ECHO, "echo", LARGE) == LARGE
        limit(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
        assert client.execute(ECHO, "echo", LARGE) == LARGE
        assert shared_memory()

    in_child(caller)


def test_a_worker_that_gets_no_shared_memory(client):
    pool = Pool([HUNGRY])
    try:
        pid = client.execute(HUNGRY, "pid")
        client.execute(HUNGRY, "file_size", 4096)
        for _ in range(3):
            assert client.execute(HUNGRY, "echo", LARGE) == LARGE
        client.execute(HUNGRY, "file_size", -1)
        assert client.execute(HUNGRY, "echo", LARGE) == LARGE
        assert client.execute(HUNGRY, "pid") == pid
    finally:
        pool.close()


# -- descriptors --------------------------------------------------------------------------------------------


def all_but(count):
    """Take every descriptor but so many; those taken."""
    limit(resource.RLIMIT_NOFILE, len(os.listdir("/proc/self/fd")) + 40)
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        for _ in range(count):
            os.close(taken.pop())
    return taken


def test_a_caller_without_descriptors(echo_pool):
    echo_pool.join()

    def caller():
        client = get_dirty_client(60)
        served = []
        for free in range(8):
            taken = all_but(free)
            try:
                served.append(client.execute(ECHO, "echo", free) == free)
            except DirtyConnectionError:
                served.append(False)
            close_dirty_client()
            for fd in taken:
                os.close(fd)
            assert client.execute(ECHO, "echo", LARGE) == LARGE
            assert shared_memory()
            close_dirty_client()
        assert served[0] is False
        assert served[-1] is True

    in_child(caller)


def test_an_asyncio_caller_without_descriptors(echo_pool):
    echo_pool.join()

    async def main():
        client = get_dirty_client(60)
        assert await client.execute_async(ECHO, "echo", 1) == 1  # what it imports is there
        await close_dirty_client_async()
        served = []
        for free in range(8):
            taken = all_but(free)
            try:
                served.append(await client.execute_async(ECHO, "echo", free) == free)
            except DirtyConnectionError:
                served.append(False)
            await close_dirty_client_async()
            for fd in taken:
                os.close(fd)
            assert await client.execute_async(ECHO, "echo", LARGE) == LARGE
            await close_dirty_client_async()
        assert served[0] is False
        assert served[-1] is True

    in_child(lambda: asyncio.run(main()))


def test_a_worker_without_descriptors(client):
    pool = Pool([HUNGRY], threads=2, rlimit_nofile=64)
    try:
        pid = client.execute(HUNGRY, "pid")
        work = Background()
        work.call("held", client.execute, HUNGRY, "keep_open", "go")
        wait_for(lambda: pool.noted("full go"), "a worker without descriptors")
        close_dirty_client()
        with pytest.raises(DirtyError):  # no new channel can reach it
            client.options(timeout=5).execute(HUNGRY, "pid")
        pool.open("go")
        assert work.join()["held"] > 0
        assert client.execute(HUNGRY, "pid") == pid
        wait_for(lambda: pool.status()["leases"] <= 2, "the leases")
    finally:
        pool.close()


# -- processes ----------------------------------------------------------------------------------------------


def test_workers_that_cannot_be_started(client, tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    pool = Pool(
        [ECHO],
        on_starting="pool_faults:another_interpreter",
        environment={"DIRTY_PYTHON": str(python)},
    )
    try:
        first = client.execute(ECHO, "pid")
        python.rename(tmp_path / "away")
        assert not pool.ctl("reload")["ok"]  # the old one goes on
        assert client.execute(ECHO, "pid") == first
        with pytest.raises(DirtyWorkerError):
            client.execute(ECHO, "die")
        wait_for(lambda: "cannot be started" in pool.slot()["error"], "a failed start")
        with pytest.raises(DirtyNoWorkersAvailableError) as told:
            client.execute(ECHO, "echo", 1)
        assert told.value.state in ("backoff", "failed")
        assert "No such file" in told.value.cause
        work = Background()
        work.call("later", client.options(no_worker_wait=60).execute, ECHO, "echo", 2)
        (tmp_path / "away").rename(python)
        pool.ctl("retry")
        assert work.join() == {"later": 2}
    finally:
        pool.close()


def test_a_boot_without_an_interpreter(tmp_path):
    pool = Pool(
        [ECHO],
        wait=False,
        on_starting="pool_faults:another_interpreter",
        environment={"DIRTY_PYTHON": str(tmp_path / "nothing")},
    )
    try:
        assert not pool.ready()
        assert pool.wait() == 1
        assert "no process can be started: [Errno 2]" in pool.logged()
    finally:
        pool.close()


# -- disks --------------------------------------------------------------------------------------------------


def test_a_full_disk_under_the_log(client):
    pool = Pool([LOUD], full=True)
    try:
        for i in range(3):
            assert client.execute(LOUD, "shout", f"{i}") == f"{i}"
        os.kill(client.execute(LOUD, "pid"), signal.SIGKILL)
        patient = client.options(no_worker_wait=60)
        wait_for(lambda: pool.slot()["generation"] == 2, "the next worker")
        assert patient.execute(LOUD, "shout", "again") == "again"
        assert pool.ctl("reload")["ok"]
        assert patient.execute(LOUD, "shout", "reloaded") == "reloaded"
        pool.stop()
        assert pool.exit == 0
        assert pool.noted("close")
    finally:
        pool.close()
