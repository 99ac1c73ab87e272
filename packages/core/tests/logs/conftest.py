"""Loggers that are as they were after each test."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hostler._log_setup import _restore, _snapshot
from hostler._log_standard import StandardLogger
from hostler.http import Head
from hostler.settings import Settings


@dataclasses.dataclass
class Line:
    """One answered request."""

    head: Head
    status: int = 200
    reason: str = "OK"
    headers: Any = (("Content-Type", "text/plain"), ("Set-Cookie", "secret=1"))
    sent: int = 13
    started: float = 0.0
    seconds: float = 1.2345678
    peer: tuple[str, int] | None = ("192.0.2.1", 5)
    environ: Any = None


@pytest.fixture(scope="session")
def line() -> Any:
    """Makes lines."""
    return make_line


def make_line(**more: Any) -> Line:
    """A line whose head has the given parts, the rest being those of a plain GET."""
    fields = tuple(more.pop("fields", ()))
    parts = {"method": "GET", "target": b"/a?b=c", "path": b"/a", "query": b"b=c", "http_version": "1.1"}
    for name in list(more):
        if name in parts:
            parts[name] = more.pop(name)
    return Line(Head(**parts, headers=fields), **more)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    state = _snapshot()
    yield
    for name, (before, *_) in state.items():
        for handler in logging.getLogger(name or None).handlers:
            if handler not in before:
                handler.close()
    _restore(state)


@pytest.fixture
def opened(tmp_path: Any) -> Iterator[Any]:
    made: list[StandardLogger] = []

    def make(**more: Any) -> StandardLogger:
        more.setdefault("errorlog", str(tmp_path / "error.log"))
        made.append(StandardLogger(Settings(**more)))
        return made[-1]

    yield make
    for one in made:
        one.close()
        one._close_outputs()
