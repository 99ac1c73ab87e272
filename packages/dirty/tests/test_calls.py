"""Calls as they are meant to be: values, options, nesting, codecs, typed clients."""

from __future__ import annotations

import asyncio
import datetime
import math
import threading

import numpy
import pytest
from hostler_dirty import (
    DirtyAppError,
    DirtyAppNotFoundError,
    DirtyNoWorkersAvailableError,
    DirtyPayloadTooLargeError,
    DirtySerializationError,
    DirtyUsageError,
    dirty,
    get_dirty_client,
)

ECHO = "pool_apps:Echo"


@pytest.fixture
def pool(echo_pool):
    echo_pool.join()
    return echo_pool


def test_values_come_back_as_they_went(pool, client):
    values = [
        None, True, 0, -5, 2**63 - 1, -(2**63), 1.5, math.inf, "text", "", b"", b"\0octets", [], {}, [1, [2, [3]]],
        {"a": {"b": [None]}}, {1: "int key"}, datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
        bytearray(b"x"), list(range(1000)), "é" * 100_000, b"x" * 70_000, [b"y" * 100_000, "z", b"w" * 70_000],
        {"blob": b"q" * 200_000, "n": 1},
    ]  # fmt: skip
    for value in values:
        assert client.execute(ECHO, "echo", value) == value
    assert math.isnan(client.execute(ECHO, "echo", math.nan))
    assert client.execute(ECHO, "echo", (1, 2)) == [1, 2]
    assert client.execute(ECHO, "echo", a=1, b=[2]) == {"a": 1, "b": [2]}


def test_large_payloads_reuse_the_shared_memory(pool, client):
    for size in (65_535, 65_536, 1 << 20, 3 << 20, 17 << 20, 1 << 20, 40 << 20, 100):
        value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        assert client.execute(ECHO, "echo", value) == value


def test_arrays(pool, client):
    for array in (
        numpy.arange(10),
        numpy.random.rand(32, 384).astype("f4"),
        numpy.zeros((0, 4)),
        numpy.array(3.5),
        numpy.arange(1 << 20, dtype="u2")[::2],
        numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    ):
        got = client.execute(ECHO, "echo", array)
        assert got.dtype == array.dtype
        assert got.shape == array.shape
        assert (got == array).all()
        if got.size and got.dtype.names is None:
            got += 1  # a result belongs to the caller
    got = client.execute(ECHO, "echo", [numpy.arange(3), {"deep": numpy.arange(100_000)}])
    assert (got[1]["deep"] == numpy.arange(100_000)).all()
    assert client.execute(ECHO, "echo", numpy.float32(1.5)) == 1.5


def test_an_argument_that_the_app_keeps_is_never_overwritten(pool, client):
    array = numpy.full(1 << 18, 7, "u1")
    assert client.execute(ECHO, "remember", array) == 7
    for value in (8, 9):
        client.execute(ECHO, "echo", numpy.full(1 << 18, value, "u1"))
    assert client.execute(ECHO, "remembered") == 7


def test_what_cannot_be_sent_is_a_typed_error_with_its_path(pool, client):
    with pytest.raises(DirtySerializationError) as told:
        client.execute(ECHO, "echo", {"a": [1, object()]})
    assert "['a'][1]" in told.value.path
    with pytest.raises(DirtySerializationError):
        client.execute(ECHO, "echo", 2**70)
    with pytest.raises(DirtySerializationError) as told:
        client.execute(ECHO, "unsendable")
    assert "['bad'][1]" in told.value.path
    with pytest.raises(DirtySerializationError):
        client.execute(ECHO, "echo", numpy.array([object()]))
    deep: list = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(DirtySerializationError):
        client.execute(ECHO, "echo", deep)
    assert client.execute(ECHO, "echo", 1) == 1


def test_too_large_is_told_on_the_side_that_sends(make_pool, client):
    make_pool("Echo", max_payload=1 << 20)
    with pytest.raises(DirtyPayloadTooLargeError) as told:
        client.execute(ECHO, "echo", b"x" * (2 << 20))
    assert told.value.limit == 1 << 20
    with pytest.raises(DirtyPayloadTooLargeError):
        client.execute(ECHO, "big", 2 << 20)
    assert client.execute(ECHO, "big", 1000) == b"x" * 1000


def test_errors_of_the_app_have_their_type_and_traceback(pool, client):
    with pytest.raises(DirtyAppError) as told:
        client.execute(ECHO, "fail", "boom")
    assert str(told.value) == "boom"
    assert told.value.error_type == "ValueError"
    assert "raise ValueError(message)" in told.value.traceback
    with pytest.raises(DirtyAppError) as told:
        client.execute(ECHO, "fail_badly")
    assert "Odd" in told.value.error_type
    with pytest.raises(DirtyAppError) as told:
        client.execute(ECHO, "memory")
    assert told.value.error_type == "MemoryError"
    assert client.execute(ECHO, "counted")


def test_unknown_apps_and_actions(pool, client):
    with pytest.raises(DirtyAppNotFoundError):
        client.execute("nobody:App", "x")
    with pytest.raises(DirtyNoWorkersAvailableError):  # what code written for gunicorn catches
        client.execute("nobody:App", "x")
    with pytest.raises(DirtyAppNotFoundError):
        client.execute(ECHO, "nothing")


def test_kinds_of_apps(make_pool, client):
    make_pool("Dispatching", "Duck", "Pickled", "Reraising")
    assert client.execute("pool_apps:Dispatching", "anything", 1, b=2) == ["anything", [1], {"b": 2}]
    assert client.execute("pool_apps:Duck", "quack") == "quack"
    value = ({1, 2}, 3 + 4j, 2**100, (1, numpy.arange(100_000)))
    got = client.execute("pool_apps:Pickled", "echo", value)
    assert got[:3] == value[:3]
    assert (got[3][1] == value[3][1]).all()
    with pytest.raises(ZeroDivisionError):
        client.execute("pool_apps:Reraising", "divide", 1, 0)
    with pytest.raises(KeyError) as told:
        client.execute("pool_apps:Reraising", "look", "k")
    assert told.value.args == ("k",)
    with pytest.raises(DirtyAppError):
        client.execute("pool_apps:Reraising", "other")


def test_async_actions(pool, client):
    assert client.execute(ECHO, "async_add", 1, 2) == 3
    assert list(client.stream(ECHO, "async_count", 5)) == [0, 1, 2, 3, 4]


def test_nested_calls_inherit_the_deadline(make_pool, client):
    make_pool("Echo", "Nested", workers=2)
    assert client.execute("pool_apps:Nested", "twice", 4) == 8
    with pytest.raises((DirtyAppError, TimeoutError, Exception)) as told:
        client.options(timeout=0.5).execute("pool_apps:Nested", "wait", 30)
    assert "Timeout" in type(told.value).__name__ or "Timeout" in getattr(told.value, "error_type", "")


def test_call_information(pool, client):
    info = client.options(timeout=30, priority=1, trace={"traceparent": "00-ab"}).execute(ECHO, "info")
    assert 0 < info["remaining"] <= 30
    assert info["attempt"] == 1
    assert info["slot"] == 0
    assert info["priority"] == 1
    assert info["trace"] == {"traceparent": "00-ab"}
    assert client.options(timeout=0).execute(ECHO, "info")["deadline"] is None


def test_typed_client(pool):
    import pool_typed

    typed = dirty(pool_typed.Echo).options(timeout=20)
    typed_path = dirty(pool_typed.Echo)
    assert typed_path.add(1, b=2) == 3

    async def main():
        from hostler_dirty import close_dirty_client_async

        assert await typed.aio.add(2, 3) == 5
        await close_dirty_client_async()

    asyncio.run(main())
    assert list(typed.count_to.stream(3)) == [0, 1, 2]


def test_sixteen_threads_on_one_client(make_pool, client):
    make_pool("Echo", workers=2)
    wrong: list = []

    def work(base):
        for i in range(40):
            got = client.execute(ECHO, "echo", [base, i])
            if got != [base, i]:
                wrong.append((base, i, got))

    threads = [threading.Thread(target=work, args=(base,)) for base in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_no_pool_is_told(client, monkeypatch):
    from hostler_dirty import DirtyConnectionError, _place, close_dirty_client

    close_dirty_client()
    monkeypatch.setattr(_place.HERE, "doorbell", -1)

    with pytest.raises(DirtyConnectionError, match="no dirty pool"):
        client.execute(ECHO, "echo", 1)


def test_blocking_in_a_running_loop_is_told(pool, client):
    async def view():
        client.execute(ECHO, "echo", 1)

    with pytest.raises(DirtyUsageError, match="execute_async"):
        asyncio.run(view())

    async def knowing():
        return client.options(allow_blocking=True).execute(ECHO, "echo", 1)

    assert asyncio.run(knowing()) == 1


def test_get_dirty_client_takes_a_timeout():
    assert get_dirty_client() is get_dirty_client()
    assert get_dirty_client(3)._options.timeout == 3
