"""What came through nginx: a WSGI application that shows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

SHOWN = (
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "SERVER_NAME",
    "HTTP_HOST",
    "wsgi.url_scheme",
)


def ticks() -> Iterator[bytes]:
    """Pieces that are sent as they are made."""
    for number in range(5):
        yield f"tick {number}\n".encode()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Ticks at `/live/`, the size of the body at `/upload/`, elsewhere what the application sees."""
    path = environ["PATH_INFO"]
    if path.startswith("/live/"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ticks()
    if path.startswith("/upload/"):
        size = 0
        while block := environ["wsgi.input"].read(65536):
            size += len(block)
        answer = {"size": size}
    else:
        answer = {name: environ[name] for name in SHOWN if name in environ}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer, indent=2).encode() + b"\n"]
