"""The page of `browser_page` under WSGI: it is not answered before its style sheet was asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from browser_page import PATIENCE, PICTURE, STYLE, THOUGHT, page

styled = threading.Event()


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """By path."""
    path = environ["PATH_INFO"]
    kind, body = "image/svg+xml", PICTURE
    if path == "/style.css":
        styled.set()
        kind, body = "text/css", STYLE
    elif path == "/":
        styled.clear()
        time.sleep(THOUGHT)
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload; as=style")])
        kind, body = "text/html", page(environ["SERVER_PROTOCOL"], styled.wait(PATIENCE))
    fields = [("Content-Type", kind), ("Content-Length", str(len(body)))]
    if path == "/style.css":
        fields.append(("Cache-Control", "max-age=60"))
    start_response("200 OK", fields)
    return [body]
