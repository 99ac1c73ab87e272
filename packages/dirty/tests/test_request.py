"""The client in a request: what it adds to each call. Clients that really leave are in `tests/dirty`."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest
from hostler_dirty import (
    DirtyCancelledError,
    DirtyClientGoneError,
    DirtyTimeoutError,
    close_dirty_client_async,
    dirty,
    get_dirty_client,
    get_request_client,
)
from hostler_dirty._leaving import Leaving
from hostler_dirty._request import KEY, RequestClient, offer, trace_of
from hostler_dirty.testing import inline
from pool_apps import Echo
from pool_harness import wait_for

ECHO = "pool_apps:Echo"
PARENT = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


class View:
    """A request as the core shows it."""

    def __init__(self, *headers):
        self.head = SimpleNamespace(headers=headers)
        self.gone = False

    def departed(self):
        return self.gone


@pytest.fixture
def pool():
    with inline(ECHO) as pool:
        yield pool


def test_trace():
    state, baggage = (b"tracestate", b"a=1"), (b"baggage", b"user=5")
    parent = PARENT[1].decode()
    found = trace_of(View(PARENT, (b"host", b"x"), state, (b"tracestate", b"b=2"), baggage).head)
    assert found == {"traceparent": parent, "tracestate": "a=1,b=2", "baggage": "user=5"}
    assert trace_of(View(state, baggage).head) == {"baggage": "user=5"}
    assert trace_of(View(PARENT, PARENT, state).head) is None
    assert trace_of(View((b"host", b"x")).head) is None


def test_calls_carry_the_trace(pool):
    client = RequestClient(View(PARENT))
    assert client.execute(ECHO, "info")["trace"] == {"traceparent": PARENT[1].decode()}
    assert client.options(trace={"traceparent": "mine"}).execute(ECHO, "info")["trace"] == {
        "traceparent": "mine"
    }
    assert dirty(Echo, client).info()["trace"] == {"traceparent": PARENT[1].decode()}
    assert RequestClient(View()).execute(ECHO, "info")["trace"] == {}


def test_calls_share_the_time(pool):
    client = RequestClient(View())
    other = client.options(timeout=1000)
    assert client.execute(ECHO, "info")["remaining"] <= 30  # as the pool says
    client.within(20)
    client.within(25)
    for one in (client, other, client.options(timeout=0), dirty(Echo, client)._client):
        assert 0 < one.execute(ECHO, "info")["remaining"] <= 20
    assert client.options(timeout=5).execute(ECHO, "info")["remaining"] <= 5
    before = len(pool.calls)
    other.within(0)
    with pytest.raises(DirtyTimeoutError, match="The request's time is over") as caught:
        client.execute(ECHO, "echo", 1)
    assert caught.value.stage == "queue"
    assert len(pool.calls) == before


def test_who_left_calls_nothing(pool):
    view = View()
    client = RequestClient(view)
    assert client.execute(ECHO, "echo", 1) == 1
    assert not client.departed()
    view.gone = True
    assert client.departed()
    with pytest.raises(DirtyClientGoneError) as caught:
        client.execute(ECHO, "echo", 2)
    assert isinstance(caught.value, DirtyCancelledError)
    assert isinstance(caught.value, ConnectionAbortedError)
    with pytest.raises(DirtyClientGoneError):
        client.stream(ECHO, "count_to", 2)
    with pytest.raises(DirtyClientGoneError):
        asyncio.run(client.execute_async(ECHO, "echo", 2))
    assert len(pool.calls) == 1


def test_streams(pool):
    client = RequestClient(View())
    assert list(client.stream(ECHO, "count_to", 3)) == [0, 1, 2]

    async def read():
        async with client.stream_async(ECHO, "count_to", 3) as chunks:
            return [chunk async for chunk in chunks]

    assert asyncio.run(read()) == [0, 1, 2]


def test_the_client_of_a_request():
    client = RequestClient(View())
    assert get_request_client({KEY: client}) is client
    assert get_request_client({"extensions": {KEY: client}}) is client
    for none in ({}, {"extensions": {}}, {"extensions": None}):
        assert get_request_client(none) is get_dirty_client()
    ((key, make),) = offer(None).items()
    assert key == "hostler.dirty"
    assert isinstance(make(View()), RequestClient)


def test_a_blocking_caller_leaves(echo_pool, tmp_path):
    """The call is interrupted, the line can be used on, and nobody looks for its client any more."""
    view, raised = View(), []

    def call():
        try:
            RequestClient(view).execute(ECHO, "sleep", 60)
        except DirtyClientGoneError as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    wait_for(lambda: echo_pool.slot()["running"], "the running call")
    view.gone = True
    thread.join(60)
    assert raised
    client = get_dirty_client(60)
    assert client.execute(ECHO, "echo", 1) == 1
    assert list(client.stream(ECHO, "count_to", 2)) == [0, 1]


def test_a_task_leaves(echo_pool):
    view = View()

    async def main():
        client = RequestClient(view)
        call = asyncio.ensure_future(client.execute_async(ECHO, "sleep", 60))
        while not echo_pool.slot()["running"]:
            await asyncio.sleep(0.01)
        view.gone = True
        with pytest.raises(DirtyClientGoneError):
            await call
        view.gone = False
        assert await client.execute_async(ECHO, "echo", 1) == 1
        await close_dirty_client_async()

    asyncio.run(main())


def test_a_cancelled_task_stays_cancelled(pool):
    """Leaving takes back its own cancellation only."""
    view = View()

    async def wait():
        with Leaving(view):
            await asyncio.sleep(600)

    async def main():
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        view.gone = True
        task = asyncio.ensure_future(wait())
        with pytest.raises(DirtyClientGoneError):
            await task
        assert not task.cancelled()

    asyncio.run(main())
