"""The WSGI application of the suites: one function for each path."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from hostler_testkit.applications import pep3333
from hostler_testkit.applications.notes import add, is_open, leave

Environ = dict[str, Any]
Start = Callable[..., Any]
TEXT = ("Content-Type", "text/plain")

leave(f"imported.{os.getpid()}")


def parameters(environ: Environ) -> dict[str, str]:
    """The query, each name once."""
    return {name: values[-1] for name, values in parse_qs(environ["QUERY_STRING"]).items()}


def hello(environ: Environ, start: Start) -> Iterable[bytes]:
    """A small page with a length."""
    start("200 OK", [TEXT, ("Content-Length", "5")])
    return [b"hello"]


def pid(environ: Environ, start: Start) -> Iterable[bytes]:
    """Which process this is."""
    start("200 OK", [TEXT])
    return [str(os.getpid()).encode()]


def echo(environ: Environ, start: Start) -> Iterable[bytes]:
    """The body, read to its end."""
    body = environ["wsgi.input"].read()
    add("echoed")
    start("200 OK", [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def ignore(environ: Environ, start: Start) -> Iterable[bytes]:
    """Answers without reading the body."""
    start("200 OK", [TEXT])
    return [b"ignored"]


def stream(environ: Environ, start: Start) -> Iterable[bytes]:
    """`count` blocks of `size` octets, without a length."""
    query = parameters(environ)
    count, size = int(query.get("count", "3")), int(query.get("size", "5"))
    start("200 OK", [TEXT])
    return (bytes([97 + number % 26]) * size for number in range(count))


def big(environ: Environ, start: Start) -> Iterable[bytes]:
    """`size` octets in one block."""
    size = int(parameters(environ)["size"])
    start("200 OK", [TEXT, ("Content-Length", str(size))])
    return [b"x" * size]


class Endless:
    """Blocks without an end, which notes its `close`."""

    def __iter__(self) -> Endless:
        return self

    def __next__(self) -> bytes:
        return b"y" * 65536

    def close(self) -> None:
        """Called once, however the answer ended."""
        add("endless-closed")


def endless(environ: Environ, start: Start) -> Iterable[bytes]:
    """Goes on until the client leaves."""
    start("200 OK", [TEXT])
    return Endless()


def gate(environ: Environ, start: Start) -> Iterable[bytes]:
    """Says that it was entered, and answers when the test opens the gate."""
    name = parameters(environ)["name"]
    leave(f"entered.{name}", str(os.getpid()))
    end = time.monotonic() + 60
    while not is_open(name) and time.monotonic() < end:
        time.sleep(0.01)
    leave(f"passed.{name}")
    start("200 OK", [TEXT])
    return [b"through"]


def fail(environ: Environ, start: Start) -> Iterable[bytes]:
    """Raises before anything was sent."""
    raise RuntimeError("the application failed on purpose: quite-a-secret")


def fail_late(environ: Environ, start: Start) -> Iterable[bytes]:
    """Raises after a block."""
    start("200 OK", [TEXT])
    yield b"begun"
    raise RuntimeError("the application failed late on purpose")


def hints(environ: Environ, start: Start) -> Iterable[bytes]:
    """Early hints, then the page."""
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload; as=style")])
    start("200 OK", [TEXT, ("Content-Length", "6")])
    return [b"hinted"]


def crash(environ: Environ, start: Start) -> Iterable[bytes]:
    """Ends this worker as a fault would."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    return []


def environment(environ: Environ, start: Start) -> Iterable[bytes]:
    """The environ as JSON: texts as they are, of everything else its type's name."""
    shown: dict[str, Any] = {
        key: value if isinstance(value, (str, bool)) else type(value).__name__
        for key, value in environ.items()
    }
    shown["type"] = type(environ).__name__
    shown["version"] = list(environ["wsgi.version"])
    shown["types"] = {key: type(value).__name__ for key, value in environ.items()}
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(shown).encode()]


ROUTES: dict[str, Callable[[Environ, Start], Iterable[bytes]]] = {
    "/": hello,
    "/pid": pid,
    "/echo": echo,
    "/ignore": ignore,
    "/stream": stream,
    "/big": big,
    "/endless": endless,
    "/gate": gate,
    "/fail": fail,
    "/fail-late": fail_late,
    "/hints": hints,
    "/crash": crash,
    "/environ": environment,
    **pep3333.ROUTES,
}


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Find the route; its answer is the answer."""
    route = ROUTES.get(environ["PATH_INFO"])
    if route is None:
        start_response("404 Not Found", [TEXT])
        return [b"no such route"]
    return route(environ, start_response)
