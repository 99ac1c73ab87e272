"""What a request took is given back at its end, not when the collector comes by."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import everything, until


class Mark:
    """Something that lives as long as its environ."""


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Cycles stay."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_an_exchange_leaves_no_cycle(serve: Any) -> None:
    """The environ holds methods of its exchange, which must not hold it for longer than it is needed."""
    marks: list[Any] = []

    def application(environ: Any, start_response: Any) -> Any:
        mark = environ["mark"] = Mark()
        marks.append(weakref.ref(mark))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    running = serve(application)
    with running.connect() as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert everything(peer).endswith(b"hello")
    until(lambda: marks and marks[0]() is None, "the environ gone")
