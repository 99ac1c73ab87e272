"""A WSGI application with one page, which says who serves it and shows the request as it arrived."""

from __future__ import annotations

import html
import os
import platform
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hostler serves</title>
<style>
body {{ font: 16px/1.5 sans-serif; margin: 3rem auto; max-width: 44rem; padding: 0 1rem; color: #123 }}
h1 {{ color: #0b6e4f }}
table {{ border-collapse: collapse; width: 100% }}
td {{ border-top: 1px solid #d8dee4; padding: .3rem .6rem; vertical-align: top; overflow-wrap: anywhere }}
td:first-child {{ font-family: ui-monospace, monospace; white-space: nowrap }}
</style>
</head>
<body>
<h1>hostler serves</h1>
<p>This page came from process {pid} under Python {python}, for <code>{method} {target}</code>.</p>
<table>{rows}</table>
</body>
</html>
"""


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The page at `/`, anything else is not found."""
    if environ["PATH_INFO"] != "/":
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"There is one page here, at /.\n"]
    shown = {key: value for key, value in sorted(environ.items()) if isinstance(value, str)}
    rows = "".join(
        f"<tr><td>{html.escape(key)}</td><td>{html.escape(value)}</td></tr>" for key, value in shown.items()
    )
    page = PAGE.format(
        pid=os.getpid(),
        python=platform.python_version(),
        method=html.escape(environ["REQUEST_METHOD"]),
        target=html.escape(environ.get("RAW_URI") or environ["PATH_INFO"]),
        rows=rows,
    )
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [page.encode("utf-8", "replace")]
