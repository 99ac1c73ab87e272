"""Want of memory: in an action, in what is sent, in `init`, and by the kernel's hand."""

from __future__ import annotations

import mmap

import pytest
from hostler_dirty import (
    DirtyAppError,
    DirtyPayloadTooLargeError,
    DirtyWorkerError,
    _oom,
    close_dirty_client_async,
)
from pool_harness import Pool

HUNGRY = "pool_demanding:Hungry"
GIANT = 2 << 30


@pytest.fixture(scope="module")
def hungry():
    pool = Pool([HUNGRY], rlimit_as=1 << 30)
    yield pool
    pool.close()


def test_an_action_that_wants_too_much(hungry, client):
    hungry.join()
    pid = client.execute(HUNGRY, "pid")
    for action in ("eat", "give"):
        with pytest.raises(DirtyAppError) as told:
            client.execute(HUNGRY, action, 8 << 30)
        assert told.value.error_type == "MemoryError"
    assert client.execute(HUNGRY, "pid") == pid


def test_values_that_do_not_fit_into_the_worker(hungry, client):
    hungry.join()
    pid = client.execute(HUNGRY, "pid")
    value = b"x" * (48 << 20)
    assert client.execute(HUNGRY, "length", value) == len(value)
    client.execute(HUNGRY, "tighten", 24 << 20)
    hungry_calls = [("length", value), ("give", len(value)), ("echo", bytearray(value))]
    for action, argument in hungry_calls:
        with pytest.raises(DirtyAppError) as told:
            client.execute(HUNGRY, action, argument)
        assert told.value.error_type == "MemoryError"
    client.execute(HUNGRY, "loosen")
    for _ in range(3):
        assert client.execute(HUNGRY, "length", value) == len(value)
    assert client.execute(HUNGRY, "give", len(value)) == bytes(len(value))
    assert client.execute(HUNGRY, "pid") == pid
    assert hungry.status()["leases"] <= 1


def test_a_load_that_wants_too_much(hungry, client):
    hungry.join()
    pid = client.execute(HUNGRY, "pid")
    hungry.open("greedy")
    told = hungry.ctl("reload")
    assert not told["ok"]
    assert "MemoryError" in str(told["failures"])
    assert client.execute(HUNGRY, "pid") == pid


def giant():
    """Two GiB of address space, without the memory for it."""
    return memoryview(mmap.mmap(-1, GIANT, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))


def test_two_gibibytes(echo_pool, client):
    echo_pool.join()
    echo = "pool_apps:Echo"
    assert client.execute(echo, "echo", 1) == 1
    sessions = echo_pool.status()["sessions"]
    for value in (giant(), [1, giant()]):
        with pytest.raises(DirtyPayloadTooLargeError) as told:
            client.execute(echo, "echo", value)
        assert told.value.limit == 256 << 20
        assert client.execute(echo, "echo", 2) == 2
    with pytest.raises(DirtyPayloadTooLargeError):
        client.execute(echo, "total", iter([giant()]))
    assert client.execute(echo, "echo", 3) == 3
    assert echo_pool.status()["sessions"] == sessions


def test_two_gibibytes_of_an_asyncio_caller(echo_pool, client):
    import asyncio

    echo_pool.join()
    echo = "pool_apps:Echo"

    async def main():
        for _ in range(2):
            with pytest.raises(DirtyPayloadTooLargeError):
                await client.execute_async(echo, "echo", giant())
            assert await client.execute_async(echo, "echo", 2) == 2
        await close_dirty_client_async()

    asyncio.run(main())


def test_two_gibibytes_as_a_result(client):
    pool = Pool([HUNGRY])
    try:
        pid = client.execute(HUNGRY, "pid")
        for call in (
            lambda: client.execute(HUNGRY, "giant", GIANT),
            lambda: list(client.stream(HUNGRY, "giants", GIANT)),
        ):
            with pytest.raises(DirtyPayloadTooLargeError):
                call()
            assert client.execute(HUNGRY, "pid") == pid
    finally:
        pool.close()


# -- the kernel ---------------------------------------------------------------------------------------------


def test_a_worker_that_the_kernel_kills_for_memory(make_pool, client, tmp_path, monkeypatch):
    counter = tmp_path / "memory.events"
    counter.write_text("low 0\noom 3\noom_kill 3\n", encoding="ascii")
    monkeypatch.setattr(_oom, "counter", lambda: counter)
    pool = Pool([HUNGRY])
    try:
        with pytest.raises(DirtyWorkerError) as told:
            client.execute(HUNGRY, "killed_for_memory", str(counter))
        assert told.value.details["reason"] == "oom"
        assert told.value.details["signal"] == "SIGKILL"
        assert "for want of memory" in pool.logged()
        patient = client.options(no_worker_wait=60)
        with pytest.raises(DirtyWorkerError) as told:  # the counter stays where it is: somebody else did that
            patient.execute(HUNGRY, "killed_for_memory", str(counter))
        assert told.value.details["reason"] == "killed"
        assert patient.execute(HUNGRY, "pid")
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/app.slice/server\n", "app.slice/server/memory.events"),
        ("0::/kubepods/pod1/abc\n", "memory.events"),
        ("4:memory:/docker/abc\n1:cpu:/\n0::/\n", "memory/docker/abc/memory.oom_control"),
        ("12:cpuset:/\n4:cpu,memory:/docker/abc\n", "memory/memory.oom_control"),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_where_the_kernel_counts(tmp_path, groups, file):
    (tmp_path / "cgroup").write_text(groups, encoding="utf-8")
    if file:
        path = tmp_path / "fs" / file
        path.parent.mkdir(parents=True)
        path.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", encoding="ascii")
    found = _oom.counter(tmp_path / "cgroup", tmp_path / "fs")
    assert found == (path if file else None)
    assert _oom.counter(tmp_path / "nothing", tmp_path / "fs") is None


def test_counting(tmp_path, monkeypatch):
    file = tmp_path / "memory.events"
    file.write_text("oom_kill 1\n", encoding="ascii")
    monkeypatch.setattr(_oom, "counter", lambda: file)
    kills = _oom.Kills()
    assert not kills.more()
    file.write_text("oom_kill 2\n", encoding="ascii")
    assert kills.more()
    assert not kills.more()
    file.unlink()
    assert not kills.more()
