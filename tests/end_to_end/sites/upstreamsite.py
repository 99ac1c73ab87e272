"""An application of the tests that asks a slow neighbour through requests before it answers."""

from collections.abc import Callable, Iterable
from typing import Any

import requests


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Ask the upstream whose port is the query, and pass on what it says."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"http://127.0.0.1:{environ['QUERY_STRING']}{environ['PATH_INFO']}", timeout=120)
    body = answer.content
    start_response(f"{answer.status_code} {answer.reason}", [("Content-Length", str(len(body)))])
    return [body]
