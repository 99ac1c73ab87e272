"""Checks: plain calls, their values, errors, limits and deadlines."""

from __future__ import annotations

import datetime
import threading
from typing import Any

from hostler_dirty import (
    DirtyAppError,
    DirtyAppNotFoundError,
    DirtyPayloadTooLargeError,
    DirtySerializationError,
    DirtyTimeoutError,
    DirtyUsageError,
    get_dirty_client,
    stash,
)
from hostler_dirty.conformance._expect import holds, refused, same
from hostler_dirty.conformance.apps import PICKLES, PLAIN, TABLE
from hostler_dirty.errors import StashKeyNotFoundError, StashTableNotFoundError

LIMIT = 1 << 20
"""`dirty_max_payload` while the suite runs."""
client = get_dirty_client(60)


def values_come_back_as_they_went() -> None:
    """By the default codec: what msgpack carries, of every size."""
    values: list[Any] = [
        None, True, 0, -5, 2**63 - 1, 1.5, "text", "", b"", b"\0octets", [], {}, [1, [2, [3]]], {"a": {"b": [None]}},
        {1: "int key"}, datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), "é" * 100_000, b"x" * 200_000,
        [b"y" * 100_000, "z"],
    ]  # fmt: skip
    for value in values:
        same(client.execute(PLAIN, "echo", value), value)
    same(client.execute(PLAIN, "echo", (1, 2)), [1, 2])
    same(
        client.execute(PLAIN, "echo", app=1, action="x", timeout=[2]),
        {"app": 1, "action": "x", "timeout": [2]},
    )
    same(client.execute(PLAIN, "echo_async", 5), 5)


def another_codec_carries_what_it_can() -> None:
    """An app that names `pickle` gets any value, both ways, as arguments and as results."""
    for value in ({1, 2}, (1, "a"), 2**80, {"n": {(1, 2): b"x" * 200_000}}, complex(1, 2)):
        same(client.execute(PICKLES, "echo", value), value)
    same(client.execute(PICKLES, "kind", (1,)), "tuple")
    same(client.execute(PLAIN, "kind", (1,)), "list")


def state_lasts() -> None:
    """`init` ran before the first call, and what it made is still there."""
    first = client.execute(PLAIN, "count")
    holds(
        max(client.execute(PLAIN, "count") for _ in range(20)) > first, "the app forgot what it had counted"
    )


def the_call_is_known_to_its_action() -> None:
    """`current_call()`."""
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    info = client.options(timeout=50, priority=2, trace=trace).execute(PLAIN, "info")
    same((info["app"], info["action"], info["priority"], info["trace"]), (PLAIN, "info", 2, trace))
    holds(0 < info["remaining"] <= 50, f"{info['remaining']} s of 50 are left")
    same(client.options(timeout=0).execute(PLAIN, "info")["remaining"], None)


def apps_call_apps() -> None:
    """From within an action, by whatever codec the other app has."""
    same(client.execute(PLAIN, "nested", 7), [7, "nested"])


def batches_keep_their_calls_apart() -> None:
    """Calls that are run together get each its own answer, or its own error."""
    results: dict[int, Any] = {}

    def call(number: int) -> None:
        try:
            results[number] = client.execute(PLAIN, "square", number)
        except DirtyAppError as error:
            results[number] = error.error_type

    threads = [threading.Thread(target=call, args=(number,)) for number in range(-1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(results, {-1: "ValueError", **{number: number * number for number in range(9)}})


def errors_of_an_app_are_typed() -> None:
    """`DirtyAppError` with type, text and traceback; what `reraise` names comes as itself."""
    with refused(DirtyAppError) as told:
        client.execute(PLAIN, "fail", "boom")
    same((str(told.error), told.error.error_type), ("boom", "ValueError"))
    same((told.error.app_path, told.error.action), (PLAIN, "fail"))
    holds("raise ValueError(message)" in (told.error.traceback or ""), "the traceback is not the action's")
    with refused(ZeroDivisionError):
        client.execute(PLAIN, "divide", 0)
    same(client.execute(PLAIN, "divide", 2), 0.5)


def what_is_not_there_cannot_be_called() -> None:
    """Unknown apps and actions, private names, and what belongs to an app's life."""
    for app, name in (
        ("no.such:App", "x"), (PLAIN, "nothing"), (PLAIN, "_private"), (PLAIN, "init"), (PLAIN, "close"),
        (PLAIN, "health"), (PLAIN, "__init__"),
    ):  # fmt: skip
        with refused(DirtyAppNotFoundError):
            client.execute(app, name)


def what_cannot_be_sent_is_told() -> None:
    """Arguments and results, with the path of the bad value."""
    with refused(DirtySerializationError) as told:
        client.execute(PLAIN, "echo", {"a": [1, object()]})
    holds("['a'][1]" in told.error.path, f"the path is {told.error.path!r}")
    with refused(DirtySerializationError) as told:
        client.execute(PLAIN, "unsendable")
    holds("['bad'][0]" in told.error.path, f"the path is {told.error.path!r}")
    with refused(DirtySerializationError):
        client.execute(PICKLES, "echo", lambda: None)
    same(client.execute(PLAIN, "echo", 1), 1)


def payloads_have_a_limit() -> None:
    """`dirty_max_payload`, for arguments and results, by every codec."""
    for app in (PLAIN, PICKLES):
        with refused(DirtyPayloadTooLargeError) as told:
            client.execute(app, "echo", b"x" * (2 * LIMIT))
        same(told.error.limit, LIMIT)
    with refused(DirtyPayloadTooLargeError):
        client.execute(PLAIN, "big", 2 * LIMIT)
    same(len(client.execute(PLAIN, "big", LIMIT // 2)), LIMIT // 2)


def deadlines_hold() -> None:
    """The caller is told `DirtyTimeoutError`, and the next call is none the worse for it."""
    for _ in range(2):
        with refused(DirtyTimeoutError) as told:
            client.options(timeout=0.1).execute(PLAIN, "nap", 0.5)
        holds(told.error.stage in ("queue", "run"), f"the stage is {told.error.stage!r}")
        same(client.execute(PLAIN, "echo", 1), 1)
    same(client.options(timeout=0).execute(PLAIN, "nap", 0.01), 0.01)


def one_client_serves_many_threads() -> None:
    """Each gets its own answers."""
    wrong: list[Any] = []

    def run(number: int) -> None:
        for step in range(10):
            value = [number, step, "x" * (step * 100)]
            got = client.execute(PLAIN, "echo", value)
            if got != value:
                wrong.append((got, value))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(wrong, [])


def a_stream_is_no_plain_answer() -> None:
    """`execute` of a streaming action is an error, unless it is to be collected."""
    with refused(DirtyUsageError):
        client.execute(PLAIN, "numbers", 3)
    same(client.options(collect=True).execute(PLAIN, "numbers", 3), [0, 1, 2])


def the_stash_is_shared() -> None:
    """Callers and apps see the same tables."""
    client.execute(PLAIN, "put", "from-app", {"a": [1]})
    same(stash.get(TABLE, "from-app"), {"a": [1]})
    stash.put(TABLE, "number", 5)
    same(stash.get(TABLE, "number"), 5)
    same(stash.get(TABLE, "missing", "default"), "default")
    stash.delete(TABLE, "count")
    same([stash.incr(TABLE, "count"), stash.incr(TABLE, "count", 5)], [1, 6])
    value, version = stash.version(TABLE, "number")
    holds(stash.cas(TABLE, "number", version, value + 1), "cas refused the right version")
    same(stash.cas(TABLE, "number", version, 9), 0)
    same(stash.get(TABLE, "number"), 6)
    same(stash.delete(TABLE, "number"), True)
    with refused(StashKeyNotFoundError):
        stash.table(TABLE)["number"]
    with refused(StashTableNotFoundError):
        stash.info("no-such-table")


CHECKS = (
    values_come_back_as_they_went, another_codec_carries_what_it_can, state_lasts, the_call_is_known_to_its_action,
    apps_call_apps, batches_keep_their_calls_apart, errors_of_an_app_are_typed, what_is_not_there_cannot_be_called,
    what_cannot_be_sent_is_told, payloads_have_a_limit, deadlines_hold, one_client_serves_many_threads,
    a_stream_is_no_plain_answer, the_stash_is_shared,
)  # fmt: skip
