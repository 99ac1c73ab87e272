"""The application of the suite's server: each path runs the check of its name in the HTTP worker."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import Any

from hostler_dirty.conformance import CHECKS


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """200: it holds. 500: the traceback."""
    check = CHECKS.get(environ["PATH_INFO"].lstrip("/"))
    status, text = "404 Not Found", "no such check"
    if check is not None:
        try:
            check()
            status, text = "200 OK", "it holds"
        except Exception:  # noqa: BLE001  (the wall around a check)
            status, text = "500 Internal Server Error", traceback.format_exc()
    body = text.encode("utf-8", "backslashreplace")
    start_response(
        status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    )
    return [body]
