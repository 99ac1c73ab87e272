"""What the HTTP/2 tests ask of a WSGI application."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """By path: `/length` counts a body, `/hints` sends two 103s, `/large` streams, `/slow` takes its time."""
    path = environ["PATH_INFO"]
    plain = [("Content-Type", "text/plain")]
    if path == "/hints":
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
        environ["wsgi.early_hints"]([("Link", "</b.css>; rel=preload")])
    elif path == "/slow":
        (Path(os.environ["HOSTLER_TESTKIT_DIRECTORY"]) / "slow").touch()
        time.sleep(1)
    elif path == "/rpc":
        return call(environ, start_response)
    elif path == "/large":
        start_response("200 OK", plain)
        return (bytes(65536) for _ in range(int(environ["QUERY_STRING"])))
    length = 0
    while block := environ["wsgi.input"].read(65536):
        length += len(block)
    start_response("200 OK", plain)
    return [f"{environ['SERVER_PROTOCOL']} {environ['wsgi.url_scheme']} {length}".encode()]


def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """A body, and behind it how many blocks it had."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for number in range(3):
        yield b"block %d\n" % number
    environ["hostler.send_trailers"]([("X-Blocks", "3")])
