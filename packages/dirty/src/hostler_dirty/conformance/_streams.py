"""Checks: streams in both directions, for plain callers."""

from __future__ import annotations

from collections.abc import Iterator

from hostler_dirty import DirtyAppError, DirtyTimeoutError, get_dirty_client, stash
from hostler_dirty.conformance._expect import refused, same, until
from hostler_dirty.conformance.apps import PICKLES, PLAIN, TABLE

client = get_dirty_client(60)


def chunks_come_in_order() -> None:
    """Of generators, plain and asynchronous; a plain answer is one chunk."""
    same(list(client.stream(PLAIN, "numbers", 200)), list(range(200)))
    same(list(client.stream(PLAIN, "numbers_async", 20)), list(range(20)))
    same(list(client.stream(PLAIN, "echo", "plain")), ["plain"])
    same(list(client.stream(PLAIN, "numbers", 0)), [])
    same(list(client.stream(PLAIN, "chunks", 5, 200_000)), [bytes([number]) * 200_000 for number in range(5)])


def leaving_a_stream_closes_it() -> None:
    """The generator's `finally` runs, and the client is as good as new."""
    stash.put(TABLE, "left", "open")
    with client.stream(PLAIN, "numbers", 10**9, "left") as chunks:
        same([next(chunks), next(chunks)], [0, 1])
    until(lambda: stash.get(TABLE, "left") == "closed", "the end of the generator")
    same(client.execute(PLAIN, "echo", 1), 1)


def an_error_ends_a_stream() -> None:
    """After the chunks that came before it."""
    chunks = client.stream(PLAIN, "fail_after", 2)
    same([next(chunks), next(chunks)], [0, 1])
    with refused(DirtyAppError) as told:
        next(chunks)
    same(told.error.error_type, "ValueError")
    same(list(chunks), [])
    same(client.execute(PLAIN, "echo", 1), 1)


def a_stream_has_one_deadline() -> None:
    """For all of its chunks together."""
    with refused(DirtyTimeoutError):
        list(client.options(timeout=0.2).stream(PLAIN, "slowly", 100, 0.05))
    same(client.execute(PLAIN, "echo", 1), 1)


def arguments_may_be_streams() -> None:
    """One argument may be an iterator, by position or by name, and both directions may be used at once."""
    same(client.execute(PLAIN, "total", iter(range(500)), factor=2), 499 * 500)
    same(client.execute(PLAIN, "total", numbers=iter([1, 2]), factor=1), 3)
    same(list(client.stream(PLAIN, "doubled", iter(range(100)))), list(range(0, 200, 2)))


def streams_go_by_the_app_s_codec() -> None:
    """Items and chunks alike."""
    sets = [{1}, {2, 3}]
    same(list(client.stream(PICKLES, "each", iter(sets))), [({1}, "set"), ({2, 3}, "set")])
    same(client.execute(PICKLES, "union", sets=iter(sets)), {1, 2, 3})


def an_input_stream_that_fails_fails_its_call() -> None:
    """With some error, and the client goes on."""

    def items() -> Iterator[int]:
        yield 1
        raise RuntimeError("no more")

    with refused(Exception):
        client.execute(PLAIN, "total", items())
    same(client.execute(PLAIN, "echo", 1), 1)


CHECKS = (
    chunks_come_in_order, leaving_a_stream_closes_it, an_error_ends_a_stream, a_stream_has_one_deadline,
    arguments_may_be_streams, streams_go_by_the_app_s_codec, an_input_stream_that_fails_fails_its_call,
)  # fmt: skip
