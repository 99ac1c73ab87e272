"""Names that applications written for gunicorn 27 import, and the calls they make: each is here and takes the same.

What is left out on purpose: gunicorn's own internals (`DirtyArbiter`, the TLV protocol, socket paths), which no
application needs, and clients made by hand from a socket path.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect

import pytest
from hostler_dirty import DirtyApp, DirtyClient, stash
from hostler_dirty.errors import DirtyError
from hostler_dirty.testing import inline

NAMES = {
    "": [
        "DirtyApp", "DirtyAppError", "DirtyAppNotFoundError", "DirtyClient", "DirtyConnectionError", "DirtyError",
        "DirtyProtocolError", "DirtyTimeoutError", "DirtyWorkerError", "StashClient", "StashError",
        "StashKeyNotFoundError", "StashTable", "StashTableNotFoundError", "close_dirty_client",
        "close_dirty_client_async", "get_dirty_client", "get_dirty_client_async", "stash",
    ],
    ".app": ["DirtyApp"],
    ".client": [
        "DirtyClient", "close_dirty_client", "close_dirty_client_async", "get_dirty_client", "get_dirty_client_async",
    ],
    ".errors": [
        "DirtyAppError", "DirtyAppNotFoundError", "DirtyConnectionError", "DirtyError",
        "DirtyNoWorkersAvailableError", "DirtyProtocolError", "DirtyTimeoutError", "DirtyWorkerError",
    ],
    ".stash": [
        "StashClient", "StashError", "StashKeyNotFoundError", "StashTable", "StashTableNotFoundError", "clear",
        "delete", "delete_table", "ensure", "exists", "get", "info", "keys", "put", "table", "tables",
    ],
}  # fmt: skip

CALLS = [  # where, name, positional arguments, named ones; methods are called on an instance
    (".client", "get_dirty_client", (), {}),
    (".client", "get_dirty_client", (30.0,), {}),
    (".client", "get_dirty_client", (), {"timeout": 30.0}),
    (".client", "get_dirty_client_async", (), {"timeout": 30.0}),
    (".client", "close_dirty_client", (), {}),
    (".client", "close_dirty_client_async", (), {}),
    (".client", "DirtyClient.execute", ("m:App", "action", 1, "two"), {"three": 3, "timeout": 5, "self": 1}),
    (".client", "DirtyClient.stream", ("m:App", "action", 1), {"action": 2, "app_path": 3}),
    (".client", "DirtyClient.execute_async", ("m:App", "action", 1), {"args": 2, "kwargs": 3}),
    (".client", "DirtyClient.stream_async", ("m:App", "action"), {"options": 2}),
    (".client", "DirtyClient.connect", (), {}),
    (".client", "DirtyClient.connect_async", (), {}),
    (".client", "DirtyClient.close", (), {}),
    (".client", "DirtyClient.close_async", (), {}),
    (".app", "DirtyApp.init", (), {}),
    (".app", "DirtyApp.__call__", ("action", 1), {"two": 2}),
    (".app", "DirtyApp.close", (), {}),
    (".stash", "put", ("t", "k", 1), {}),
    (".stash", "put", (), {"table": "t", "key": "k", "value": 1}),
    (".stash", "get", ("t", "k"), {"default": 1}),
    (".stash", "get", ("t", "k", 1), {}),
    (".stash", "delete", ("t", "k"), {}),
    (".stash", "keys", ("t",), {"pattern": "user:*"}),
    (".stash", "clear", ("t",), {}),
    (".stash", "info", ("t",), {}),
    (".stash", "ensure", ("t",), {}),
    (".stash", "exists", ("t",), {}),
    (".stash", "exists", ("t", "k"), {}),
    (".stash", "exists", ("t",), {"key": "k"}),
    (".stash", "delete_table", ("t",), {}),
    (".stash", "tables", (), {}),
    (".stash", "table", ("t",), {}),
    (".stash", "table", (), {"name": "t"}),
    (".stash", "StashClient", ("/socket",), {"timeout": 3.0}),
    (".stash", "StashTable.get", ("k",), {"default": 1}),
    (".stash", "StashTable.keys", (), {"pattern": "*"}),
    (".errors", "DirtyError", ("text",), {"details": {"a": 1}}),
    (".errors", "DirtyTimeoutError", (), {"message": "text", "timeout": 3.0}),
    (".errors", "DirtyConnectionError", ("text",), {"socket_path": "/socket"}),
    (".errors", "DirtyWorkerError", ("text",), {"worker_id": 1, "traceback": "text"}),
    (".errors", "DirtyAppError", ("text", "m:App", "action"), {"traceback": "text"}),
    (".errors", "DirtyAppNotFoundError", ("m:App",), {}),
    (".errors", "DirtyNoWorkersAvailableError", ("m:App",), {"message": "text"}),
    (".errors", "DirtyProtocolError", ("text",), {"raw_data": b"octets"}),
    (".errors", "StashTableNotFoundError", ("t",), {}),
    (".errors", "StashKeyNotFoundError", ("t", "k"), {}),
]

ATTRIBUTES = [  # what `except` clauses look at
    ("DirtyError", ("text",), {"message": "text", "details": {}}),
    ("DirtyTimeoutError", ("text", 3.0), {"timeout": 3.0}),
    ("DirtyConnectionError", ("text", "/s"), {"socket_path": "/s"}),
    ("DirtyWorkerError", ("text", 1, "trace"), {"worker_id": 1, "traceback": "trace"}),
    ("DirtyAppError", ("text", "m:A", "act", "trace"), {"app_path": "m:A", "action": "act", "traceback": "trace"}),
    ("DirtyAppNotFoundError", ("m:A",), {"app_path": "m:A"}),
    ("DirtyNoWorkersAvailableError", ("m:A",), {"app_path": "m:A"}),
    ("StashTableNotFoundError", ("t",), {"table_name": "t"}),
    ("StashKeyNotFoundError", ("t", "k"), {"table_name": "t", "key": "k"}),
]  # fmt: skip

FAMILY = [
    ("DirtyTimeoutError", "DirtyError"), ("DirtyConnectionError", "DirtyError"), ("DirtyWorkerError", "DirtyError"),
    ("DirtyAppError", "DirtyError"), ("DirtyAppNotFoundError", "DirtyAppError"),
    ("DirtyNoWorkersAvailableError", "DirtyError"), ("DirtyProtocolError", "DirtyError"),
    ("StashError", "DirtyError"), ("StashTableNotFoundError", "StashError"), ("StashKeyNotFoundError", "StashError"),
]  # fmt: skip


def found(where, name):
    """What a dotted name in one of the modules is."""
    value = importlib.import_module(f"hostler_dirty{where}")
    for part in name.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize(("where", "name"), [(w, n) for w, names in NAMES.items() for n in names])
def test_the_name_is_there(where, name):
    assert found(where, name) is not None


@pytest.mark.parametrize(("where", "name", "args", "kwargs"), CALLS)
def test_it_takes_the_same_call(where, name, args, kwargs):
    value = found(where, name)
    first = (None,) if "." in name else ()
    inspect.signature(value).bind(*first, *args, **kwargs)


@pytest.mark.parametrize("name", ["execute_async", "connect_async", "close_async"])
def test_what_is_awaited_can_be_awaited(name):
    assert inspect.iscoroutinefunction(getattr(DirtyClient, name))


@pytest.mark.parametrize(("name", "args", "values"), ATTRIBUTES)
def test_errors_have_what_is_looked_at(name, args, values):
    error = found(".errors", name)(*args)
    assert {key: getattr(error, key) for key in values} == values
    told = error.to_dict()
    assert (told["error_type"], told["message"]) == (name, error.message)
    again = DirtyError.from_dict(told)
    assert (type(again), again.message) == (type(error), error.message)


@pytest.mark.parametrize(("name", "parent"), FAMILY)
def test_errors_are_caught_by_the_same_clauses(name, parent):
    assert issubclass(found(".errors", name), found(".errors", parent))


class Session(DirtyApp):
    """An app as gunicorn's users write it: dispatch by hand, tables declared, values in the stash."""

    stashes = ["sessions"]  # noqa: RUF012

    def __call__(self, action, *args, **kwargs):
        if action == "login":
            stash.put("sessions", f"user:{args[0]}", {"name": kwargs["name"]})
            return stash.keys("sessions", pattern="user:*")
        return super().__call__(action, *args, **kwargs)

    def count(self, n):
        yield from range(n)


def test_an_app_that_dispatches_by_hand():
    path = f"{__name__}:Session"

    async def awaited():
        from hostler_dirty import get_dirty_client_async

        client = await get_dirty_client_async(timeout=5.0)
        first = await client.execute_async(path, "login", 2, name="B")
        return first, [n async for n in client.stream_async(path, "count", 3)]

    with inline(Session), DirtyClient() as client:
        assert client.execute(path, "login", 1, name="A") == ["user:1"]
        assert list(client.stream(path, "count", 3)) == [0, 1, 2]
        assert asyncio.run(awaited()) == (["user:1", "user:2"], [0, 1, 2])
        sessions = stash.table("sessions")
        assert sessions["user:1"] == {"name": "A"}
        with pytest.raises(KeyError):
            sessions["user:9"]
        with pytest.raises(KeyError):
            del sessions["user:9"]
        assert sorted(sessions) == ["user:1", "user:2"]
        assert dict(sessions.items())["user:2"] == {"name": "B"}
        assert len(sessions) == stash.info("sessions")["size"] == 2
