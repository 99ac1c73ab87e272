"""A page of a hundred pictures over one HTTP/2 connection, its style sheet announced by an early hint."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

COUNT = 100
STYLE = b"body { font-family: sans-serif } img { width: 2em; height: 2em }"
PICTURE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><circle cx=".5" cy=".5" r=".5" '
    b'fill="hsl(%d 70%% 50%%)"/></svg>'
)
Start = Callable[..., Any]


def page(protocol: str) -> bytes:
    """The page, which names the protocol that brought it."""
    pictures = "".join(f'<img src="/picture/{number}.svg" alt="">' for number in range(COUNT))
    return (
        "<!doctype html><title>HTTP/2</title><link rel=stylesheet href=/style.css>"
        f"<h1>This came over {protocol}</h1><p>{pictures}"
    ).encode()


def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """`/`, `/style.css`, `/picture/N.svg`, and `/upload`, which counts what it is sent."""
    path = environ["PATH_INFO"]
    status, kind, body = "200 OK", "text/html; charset=utf-8", b""
    if path == "/":
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload; as=style")])
        body = page(environ["SERVER_PROTOCOL"])
    elif path == "/style.css":
        kind, body = "text/css", STYLE
    elif path.startswith("/picture/"):
        kind, body = "image/svg+xml", PICTURE % (int("0" + path[9:-4]) * 360 // COUNT)
    elif path == "/upload":
        count = 0
        while block := environ["wsgi.input"].read(65536):
            count += len(block)
        kind, body = "text/plain", b"%d octets\n" % count
    else:
        status, kind, body = "404 Not Found", "text/plain", b"nothing here\n"
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
