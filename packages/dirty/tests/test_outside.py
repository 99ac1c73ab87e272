"""The door for callers that the server did not start, and what they may not do."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hostler.errors import ConfigError
from hostler_dirty import (
    DirtyAppError,
    DirtyConnectionError,
    DirtyNoWorkersAvailableError,
    DirtyQueueFullError,
    DirtySerializationError,
    DirtyTimeoutError,
    DirtyUsageError,
    DirtyWorkerError,
    _chosen,
    _wire,
    close_dirty_client,
    connect,
    get_dirty_client,
    stash,
)
from hostler_dirty._calling import DEFAULT, Channel, error_of, next_id, plan
from hostler_dirty._hub import HUBS
from hostler_dirty._line import encode
from hostler_dirty._lines import Gone, Line
from hostler_dirty._place import HERE
from hostler_dirty._ring import ring
from hostler_dirty._service import validate
from hostler_dirty._settings import DirtySettings
from hostler_dirty.codecs import PICKLE
from pool_apps import note
from pool_harness import Pool, wait_for
from pool_helpers import Background

ECHO, PICKLED = "pool_apps:Echo", "pool_apps:Pickled"


class Door:
    """Where outsiders knock; `pool` when it has been made."""

    def __init__(self, make_pool):
        self._make_pool = make_pool
        self.directory = tempfile.mkdtemp(prefix="hostler-dirty-door-")
        self.path = os.path.join(self.directory, "run", "dirty.sock")
        self.address = f"unix:{self.path}"

    def open(self, *apps, **settings):
        self.pool = self._make_pool(*apps, bind=self.address, **settings)
        self.leave()
        return self.enter()

    def leave(self):
        """This process is no child of the server any more."""
        close_dirty_client()
        HERE.doorbell = -1

    def enter(self):
        return connect(self.address, 60)

    def close(self):
        close_dirty_client()
        HUBS.leave()
        HERE.address = ""
        shutil.rmtree(self.directory, ignore_errors=True)

    def file(self):
        try:
            return os.stat(self.path).st_ino
        except FileNotFoundError:
            return None


@pytest.fixture
def door(make_pool):
    door = Door(make_pool)
    yield door
    door.close()


@pytest.fixture(scope="module")
def _house():
    pools = []

    def make(*apps, **settings):
        pools.append(Pool([f"pool_apps:{app}" for app in apps], **settings))
        return pools[0]

    door = Door(make)
    door.open("Echo", "Pickled", "Patient", workers=2)
    yield door
    door.leave()
    pools[0].close()
    door.close()


@pytest.fixture
def house(_house):
    """A door that the tests share which leave nothing behind."""
    _house.leave()
    yield _house
    HUBS.leave()


def test_calls_from_outside(house):
    client = house.enter()
    assert client.execute(ECHO, "add", 1, b=2) == 3
    large = os.urandom(3_000_000)
    assert client.execute(ECHO, "echo", large) == large
    assert list(client.stream(ECHO, "count_to", 200)) == list(range(200))
    assert sum(map(len, client.stream(ECHO, "chunks", 30, 100_000))) == 3_000_000
    assert client.execute(ECHO, "total", iter(range(300))) == sum(range(300))
    assert list(client.stream(ECHO, "doubled", iter([1, 2, 3]))) == [2, 4, 6]
    with pytest.raises(DirtyAppError, match="no"):
        client.execute(ECHO, "fail")
    for seconds in (0.3, 2.0, 10.0):  # a busy machine may begin late
        with pytest.raises(DirtyTimeoutError) as told:
            client.options(timeout=seconds).execute(ECHO, "sleep", 60)
        if told.value.stage == "run":
            break
    assert told.value.stage == "run"
    with pytest.raises(DirtyNoWorkersAvailableError):
        client.execute("no:App", "x")
    stash.put("things", "a", [1])
    assert stash.get("things", "a") == [1]


def test_calls_of_asyncio_from_outside(house):
    client = house.enter()

    async def main():
        large = os.urandom(1_000_000)
        assert await client.execute_async(ECHO, "echo", large) == large
        answers = await asyncio.gather(*(client.execute_async(ECHO, "add", i, b=1) for i in range(20)))
        assert answers == list(range(1, 21))
        assert [i async for i in client.stream_async(ECHO, "count_to", 100)] == list(range(100))
        assert await client.execute_async(ECHO, "total", iter(range(100))) == 4950
        for seconds in (0.3, 2.0, 10.0):  # a busy machine may begin late
            with pytest.raises(DirtyTimeoutError) as told:
                await client.options(timeout=seconds).execute_async(ECHO, "sleep", 60)
            if told.value.stage == "run":
                break
        assert told.value.stage == "run"

    asyncio.run(main())


def test_leaving_a_stream_from_outside(house):
    client = house.enter()
    with client.stream(ECHO, "count_to", 10**9) as numbers:
        assert next(numbers) == 0
    wait_for(lambda: house.pool.noted("stream closed"), "a closed generator")
    assert client.execute(ECHO, "echo", 1) == 1


def test_a_script(house):
    house.enter()
    script = (
        "import hostler_dirty\n"
        f"client = hostler_dirty.connect({house.address!r})\n"
        "print(client.execute('pool_apps:Echo', 'add', 20, b=22))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "42\n"


def test_its_worker_dies(house):
    client = house.enter()
    with pytest.raises(DirtyWorkerError) as told:
        client.execute("pool_apps:Patient", "die")
    assert told.value.details["signal"] == "SIGKILL"
    assert client.execute("pool_apps:Patient", "echo", 1) == 1


def test_many_calls_in_a_row_from_outside(house):
    client = house.enter()
    assert [client.execute(ECHO, "echo", i) for i in range(200)] == list(range(200))
    assert "cut off" not in house.pool.logged()


def test_calls_from_outside_keep_nothing(house):
    client = house.enter()
    assert client.execute(ECHO, "echo", 1) == 1
    wait_for(lambda: house.pool.status()["leases"] == 0, "the lease")


def exchange(line, channel, call):
    line.send(channel, channel.call(call, keep=True), 0)
    return line.receive(channel, call)


# -- what they may not do -----------------------------------------------------------------------------------


def test_no_orders(house):
    house.enter()
    with ring() as sock:
        sock.sendall(_wire.pack(_wire.MANAGE, 1, b"\x91\xa6status"))
        answered = b""
        while data := sock.recv(65536):
            answered += data
    assert b"pool_apps" in answered  # the greeting, and nothing after it
    assert b"generation" not in answered


def test_no_apps_whose_codec_may_run_code(house):
    client = house.enter()
    with pytest.raises(DirtySerializationError, match="not served outside"):
        client.execute(PICKLED, "echo", {1, 2})
    assert client.execute(ECHO, "echo", 1) == 1


class Bomb:
    def __reduce__(self):
        return note, ("exploded",)


def test_no_pickle_by_the_lease_of_another_app(house):
    client = house.enter()
    line = Line()
    good = plan(ECHO, "echo", (1,), {}, DEFAULT, {}, 0)
    channel, _ = line.lease(good)
    evil = plan(PICKLED, "echo", (Bomb(),), {}, DEFAULT, {"codec": PICKLE.name}, 0)
    line.send(channel, channel.call(evil, keep=True), 0)
    frames = line.receive(channel, evil)
    assert isinstance(error_of(frames[0]), DirtySerializationError)
    line.close()
    assert client.execute(ECHO, "echo", 1) == 1
    assert not house.pool.noted("exploded")


def test_no_shared_memory(house, monkeypatch):
    client = house.enter()
    line = Line()
    monkeypatch.setattr("hostler_dirty._lines.introduced", Channel)  # one that does not know its place
    call = plan(ECHO, "echo", (1,), {}, DEFAULT, {}, 0)
    channel, _ = line.lease(call)
    with pytest.raises(Gone):
        exchange(line, channel, call)
    line.close()
    monkeypatch.undo()
    assert client.execute(ECHO, "echo", 1) == 1


def test_no_lease_of_its_own_making(house):
    client = house.enter()
    line = Line()
    call = plan(ECHO, "hold_noted", ("forged",), {}, DEFAULT, {}, 0)
    channel, _ = line.lease(call)
    for lease in (channel.lease + 1_000_000, "many", [1]):
        channel.lease = lease
        with pytest.raises(Gone):
            exchange(line, channel, call)
        line.drop(channel)
        channel, _ = line.lease(call)
    line.close()
    assert client.execute(ECHO, "echo", 1) == 1
    assert not house.pool.noted("forged")
    assert "a lease that the arbiter knows nothing of" in house.pool.logged().lower()


@pytest.mark.parametrize(
    "body",
    [
        (1, [], {}),
        (1, 0, 0, [], "echo", [], {}, None),
        (1, 0, 0, ECHO, {}, [], {}, None),
        (1, 0, 0, ECHO, "echo", 7, {}, None),
        (1, 0, 0, ECHO, "echo", [], "x", None),
        (1, 0, 0, ECHO, "echo", [], {}, "options"),
    ],
)
def test_calls_of_another_shape(house, body):
    client = house.enter()
    line = Line()
    call = plan(ECHO, "echo", (1,), {}, DEFAULT, {}, 0)
    channel, _ = line.lease(call)
    if len(body) == 8:
        body = (channel.lease, *body[1:])
    line.send(channel, _wire.pack(_wire.CALL, call.id, encode(body)), 0)
    with pytest.raises(Gone):
        line.receive(channel, call)
    line.close()
    assert client.execute(ECHO, "echo", 1) == 1
    assert "Traceback" not in house.pool.logged()


def test_batches_from_outside(door):
    client = door.open("Batched", workers=1)

    async def main():
        squares = (client.execute_async("pool_apps:Batched", "square", i) for i in range(16))
        assert await asyncio.gather(*squares) == [i * i for i in range(16)]

    asyncio.run(main())
    assert any(int(note.split()[1]) > 1 for note in door.pool.noted("batch"))


def test_no_more_calls_of_one_connection_than_allowed(door):
    client = door.open("Echo", workers=4, bind_calls=2)

    async def main():
        held = [asyncio.create_task(client.execute_async(ECHO, "hold_noted", "go")) for _ in range(2)]
        while len(door.pool.noted("holds")) < 2:
            await asyncio.sleep(0.01)
        with pytest.raises(DirtyQueueFullError, match="dirty_bind_calls") as told:
            await client.execute_async(ECHO, "echo", 1)
        assert told.value.retry_after
        door.pool.open("go")
        assert await asyncio.gather(*held) == ["go", "go"]
        assert await client.execute_async(ECHO, "echo", 1) == 1

    asyncio.run(main())


@pytest.mark.parametrize("guests", [(), ("65534",)])
def test_users(door, guests):
    door.open("Echo", bind_users=guests)
    assert stat.S_IMODE(os.stat(door.path).st_mode) == (0o666 if guests else 0o600)
    for directory in (Path(door.path).parent, Path(door.path).parent.parent):
        directory.chmod(0o755)
    if not guests:
        os.chmod(door.path, 0o666)  # so that the peer's user decides, and not the file's mode
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            wanted = bool(guests) or os.getuid() != 65534
            try:
                code = 0 if (door.enter().execute(ECHO, "echo", 5) == 5) is wanted else 2
            except DirtyConnectionError as error:
                code = 0 if "may not call here" in error.message and not wanted else 3
            if code == 0 and not wanted:
                code = 4
                try:
                    asyncio.run(get_dirty_client(20).execute_async(ECHO, "echo", 5))
                except DirtyConnectionError:
                    code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ("uid 65534" in door.pool.logged()) == (not guests and os.getuid() == 0)


# -- the socket file ----------------------------------------------------------------------------------------


def test_the_file_is_made_anew(door):
    client = door.open("Echo")
    assert stat.S_IMODE(os.stat(door.path).st_mode) == 0o600
    os.unlink(door.path)
    assert client.execute(ECHO, "echo", 1) == 1  # by the connection that it has
    wait_for(door.file, "the socket file")
    close_dirty_client()
    assert client.execute(ECHO, "echo", 2) == 2
    shutil.rmtree(os.path.dirname(door.path))
    close_dirty_client()
    assert client.execute(ECHO, "echo", 3) == 3  # it waits for the file
    assert door.file()


@pytest.mark.load
def test_a_file_that_another_one_took_is_left_to_it_and_taken_back(door):
    client = door.open("Echo")
    with socket.socket(socket.AF_UNIX) as other:
        draft = f"{door.path}.other"
        other.bind(draft)
        other.listen()
        os.rename(draft, door.path)
        wait_for(lambda: "another process" in door.pool.logged(), "the complaint")
        assert os.path.exists(door.path)
    close_dirty_client()
    assert client.execute(ECHO, "echo", 1) == 1


def test_a_stale_file_is_replaced_and_ours_is_removed(door, monkeypatch):
    os.makedirs(os.path.dirname(door.path))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(door.path)
    client = door.open("Echo")
    assert client.execute(ECHO, "echo", 1) == 1
    door.pool.stop()
    assert os.listdir(os.path.dirname(door.path)) == []
    close_dirty_client()
    monkeypatch.setattr("hostler_dirty._ring.RESTORED", 0.1)
    with pytest.raises(DirtyConnectionError, match="cannot be reached at unix:"):
        client.execute(ECHO, "echo", 1)


def test_an_arbiter_that_died_has_a_successor(door):
    client = door.open("Patient")
    assert client.execute("pool_apps:Patient", "echo", 1) == 1
    door.pool.signal(signal.SIGKILL)
    door.pool.wait()
    work = Background()
    work.call("later", client.execute, "pool_apps:Patient", "echo", 2)
    door.pool.start()
    assert work.join() == {"later": 2}


@pytest.mark.parametrize("what", ["server", "file"])
def test_a_path_that_is_taken_ends_the_boot(door, what):
    if what == "server":
        door.open("Echo")
        told = f"another process (pid {door.pool.pid}) answers at {door.path}"
    else:
        os.makedirs(os.path.dirname(door.path))
        Path(door.path).touch()
        told = f"{door.path} exists and is no socket"
    second = Pool(["pool_apps:Echo"], bind=door.address, wait=False)
    try:
        assert not second.ready()
        assert second.wait() == 1
        assert told in second.logged()
    finally:
        second.close()
    assert os.path.exists(door.path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bind": "tcp://127.0.0.1:80"}, "unix:PATH"),
        ({"bind": "/run/x"}, "unix:PATH"),
        ({"bind": "unix:"}, "unix:PATH"),
        ({"bind": "unix:@abstract"}, "unix:PATH"),
        ({"bind": "unix:/" + "x" * 200}, "100 octets"),
        ({"bind": "unix:/run/x", "bind_users": ("no such user",)}, "no user 'no such user'"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        validate(DirtySettings(apps=("m:A",), workers=1, **settings))


def test_an_executor_without_a_process_has_no_door():
    with pytest.raises(ConfigError, match="no process that could answer"):
        _chosen.validate(DirtySettings(apps=("m:A",), workers=1, executor="inline", bind="unix:/run/x"))


def test_connect_says_what_is_wrong(door, echo_pool):
    echo_pool.join()
    with pytest.raises(DirtyUsageError, match="of its own"):
        connect(door.address)
    door.leave()
    with pytest.raises(DirtyUsageError, match="unix:PATH"):
        connect("/run/x")
    with pytest.raises(DirtyConnectionError, match="No such file"):
        connect(door.address)
    assert next_id()
