"""The stash: its tables by themselves, and through the pool."""

from __future__ import annotations

import numpy
import pytest
from hostler_dirty import StashError, StashKeyNotFoundError, StashTableNotFoundError, stash
from hostler_dirty._stash_store import Store
from hostler_dirty.errors import DirtyProtocolError, StashFullError
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "delete", "clear", "delete_table"]),
            st.sampled_from("abc"),
            st.binary(max_size=20),
        ),
        max_size=40,
    )
)
def test_the_octets_are_always_those_of_the_entries(steps):
    store = Store(1 << 20)
    for operation, key, value in steps:
        if operation == "put":
            store.run("put", 0.0, "t", key, value, float(len(value) % 3))
        elif operation == "delete":
            store.run("delete", 0.0, "t", key)
        else:
            store.run(operation, 0.0, "t")
    entries = [e for t in store._tables.values() for e in t.entries.items()]
    assert store.octets == sum(entry.octets + len(key) for key, entry in entries)


def test_time_limits_and_versions():
    store = Store(400)
    store.run("put", 0.0, "t", "k", b"v", 5.0)
    assert store.run("get", 4.9, "t", "k")[0] == b"v"
    with pytest.raises(StashKeyNotFoundError):
        store.run("get", 5.0, "t", "k")
    with pytest.raises(StashFullError):
        store.run("put", 5.0, "t", "k", b"x" * 400)
    version = store.run("put", 5.0, "t", "k", b"1")
    assert store.run("cas", 5.0, "t", "k", version + 1, b"2") == 0
    assert store.run("cas", 5.0, "t", "k", version, b"2") > version
    assert store.run("cas", 5.0, "t", "new", 0, b"3") > 0
    with pytest.raises(DirtyProtocolError):
        store.run("nonsense", 0.0)
    with pytest.raises(StashError):
        store.run("put", 0.0)


def test_through_the_pool(make_pool, client):
    make_pool("Echo")
    assert stash.get("none", "k", "default") == "default"
    stash.put("t", "k", {"error": "is a value too", "n": [1, 2]})
    assert stash.get("t", "k") == {"error": "is a value too", "n": [1, 2]}
    assert stash.get("t", "missing") is None
    stash.put("t", "array", numpy.arange(5))
    assert (stash.get("t", "array") == numpy.arange(5)).all()
    assert sorted(stash.keys("t", "*a*")) == ["array"]
    assert [stash.incr("t", "count") for _ in range(3)] == [1, 2, 3]
    assert stash.get("t", "count") == 3
    with pytest.raises(StashError):
        stash.incr("t", "k")
    assert stash.setdefault("t", "first", 1) == 1
    assert stash.setdefault("t", "first", 2) == 1
    value, version = stash.version("t", "first")
    assert stash.cas("t", "first", version, value + 1)
    assert not stash.cas("t", "first", version, 9)
    stash.put_many("t", {"x": 1, "y": 2})
    assert stash.get_many("t", ["x", "y", "z"]) == {"x": 1, "y": 2}
    assert stash.delete("t", "x")
    assert not stash.delete("t", "x")
    assert stash.exists("t")
    assert not stash.exists("t", "x")
    assert "t" in stash.tables()
    table = stash.table("mine")
    table["a"] = 1
    assert ("a" in table, len(table), list(table), table["a"], table.get("b", 5)) == (True, 1, ["a"], 1, 5)
    with pytest.raises(StashKeyNotFoundError):
        table["b"]
    del table["a"]
    assert stash.delete_table("mine")
    with pytest.raises(StashTableNotFoundError):
        stash.info("mine")
    client.execute("pool_apps:Echo", "put_stash", "from worker", 7)
    assert stash.get("shared", "from worker") == 7
