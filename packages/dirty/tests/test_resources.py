"""What runs out, and what leaks: descriptors, memory; shortened soaks."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time

import pytest
from hostler_dirty import DirtyError, close_dirty_client, get_dirty_client
from hostler_dirty._calling import ring
from hostler_dirty._wire import HEADER, MAGIC, VERSION
from pool_harness import wait_for
from pool_helpers import Background

ECHO = "pool_apps:Echo"


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.load
def test_an_arbiter_without_descriptors_recovers(make_pool, client):
    pool = make_pool("Echo", nofile=64)
    assert client.execute(ECHO, "echo", 1) == 1
    rings = [ring() for _ in range(60)]
    wait_for(lambda: descriptors(pool.pid) >= 60, "an arbiter without descriptors")
    assert client.execute(ECHO, "echo", 2) == 2  # the kept lease needs none
    os.kill(client.execute(ECHO, "pid"), signal.SIGKILL)
    work = Background()
    work.call("later", client.options(no_worker_wait=30, timeout=40).execute, ECHO, "echo", 3)
    time.sleep(0.5)
    for one in rings:
        one.close()
    assert work.join() == {"later": 3}
    assert client.execute(ECHO, "echo", 4) == 4


@pytest.mark.load
def test_nothing_leaks(make_pool, client):
    pool = make_pool("Echo", workers=2)

    def round_of_calls():
        for i in range(30):
            client.execute(ECHO, "echo", b"x" * (100 if i % 3 else 200_000))
            list(client.stream(ECHO, "count_to", 20))
            with client.stream(ECHO, "count_to", 10**9) as chunks:
                next(chunks)
            for action, args in (("fail", ()), ("sleep", (5,))):
                try:
                    client.options(timeout=0.02).execute(ECHO, action, *args)
                except DirtyError:
                    continue
        close_dirty_client()
        pool.idle()

    def held():
        wait_for(lambda: pool.status()["sessions"] == 1, "the end of the sessions")
        return [descriptors(pid) for pid in (os.getpid(), pool.pid, *pool.pids())]

    round_of_calls()
    before = held()
    round_of_calls()
    wait_for(lambda: all(now <= then for now, then in zip(held(), before, strict=True)), "closed descriptors")
    assert pool.status()["leases"] == 0
    assert all(slot["generation"] == 1 for slot in pool.status()["slots"])


def garbage(choice):
    kind = choice.randrange(4)
    if kind == 0:
        return choice.randbytes(choice.randrange(1, 200))
    header = [
        MAGIC, VERSION, choice.randrange(256), choice.randrange(65536), choice.randrange(256), choice.randrange(256),
        choice.getrandbits(64), choice.getrandbits(64), choice.randrange(200), choice.randrange(200),
    ]  # fmt: skip
    if kind == 1:
        header[3] &= 0xFF
        header[4] = 0
        header[9] = 0
    return HEADER.pack(*header) + choice.randbytes(choice.randrange(400))


@pytest.mark.parametrize(
    "rounds", [200, pytest.param(100_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def test_garbage_from_callers(make_pool, client, rounds):
    pool = make_pool("Echo")
    assert client.execute(ECHO, "echo", 1) == 1
    before = descriptors(pool.pid)
    choice = random.Random(5)
    for _ in range(rounds):
        with ring() as sock:
            try:
                for _ in range(3):
                    sock.sendall(garbage(choice))
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(20)
                while sock.recv(65536):
                    continue
            except (BrokenPipeError, ConnectionResetError):
                continue
    assert client.execute(ECHO, "echo", 2) == 2
    wait_for(lambda: descriptors(pool.pid) <= before, "closed descriptors")
    assert "Traceback" not in pool.logged()


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_long_time_of_everything(make_pool):
    pool = make_pool("Patient", "Limited", "Batched", workers=3)
    stop, odd = threading.Event(), []

    def load(seed):
        choice, client = random.Random(seed), get_dirty_client(20)
        while not stop.is_set():
            try:
                match = choice.randrange(4)
                if match == 0:
                    assert client.execute("pool_apps:Patient", "add", 1, b=2) == 3
                elif match == 1:
                    assert client.options(no_worker_wait=20).execute("pool_apps:Batched", "square", 3) == 9
                elif match == 2:
                    value = b"x" * choice.randrange(300_000)
                    assert client.execute("pool_apps:Patient", "echo", value) == value
                else:
                    assert len(list(client.stream("pool_apps:Patient", "count_to", 50))) == 50
            except DirtyError as error:
                if type(error).__name__ != "DirtyWorkerError":
                    odd.append(error)

    threads = [threading.Thread(target=load, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 300
    while time.monotonic() < until:
        time.sleep(5)
        pids = pool.pids()
        os.kill(random.choice(pids), signal.SIGKILL)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not odd


@pytest.mark.parametrize("kind", ["LEASE", "STASH", "FATE", "UNLEASE", "MANAGE"])
@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x01", b"\x91\x01", b"\x93\xa3put\x01\x02", b"\x96\x01\x01\x01\x01\x01\x01"]
)
def test_bodies_of_another_shape(echo_pool, client, kind, body):
    from hostler_dirty import _wire

    echo_pool.join()
    with ring() as sock:
        sock.sendall(_wire.pack(getattr(_wire, kind), 1, body))
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(20)
        while sock.recv(65536):
            continue
    assert client.execute(ECHO, "echo", 1) == 1
    assert "Traceback" not in echo_pool.logged()
