"""What a check says when something is not as it must be. No test framework is needed, and none is in the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

E = TypeVar("E", bound=BaseException)

PATIENCE = 30.0
"""Seconds until something that must come about has to be there; generous, for machines that are busy."""


class Told(Generic[E]):
    """The error that came."""

    error: E


def same(got: Any, wanted: Any) -> None:
    """Raises AssertionError if they differ."""
    if got != wanted or type(got) is not type(wanted):
        raise AssertionError(f"{got!r} came, and {wanted!r} was to come")


def holds(condition: object, what: str) -> None:
    """Raises AssertionError unless the condition holds."""
    if not condition:
        raise AssertionError(what)


@contextmanager
def refused(kind: type[E]) -> Iterator[Told[E]]:
    """The block must raise exactly this kind of error, or one derived from it."""
    told: Told[E] = Told()
    try:
        yield told
    except kind as error:
        told.error = error
        return
    raise AssertionError(f"no {kind.__name__} came")


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come about within {PATIENCE:g} s")
        time.sleep(0.01)
