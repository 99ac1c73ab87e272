"""Frameworks under the ASGI worker, driven by clients that people use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hostler_testkit.client import until
from websockets.sync.client import connect

WORKERS = ("asgi",)
INTERFACE = "asgi"
SITES = Path(__file__).parent / "sites"
FRAMEWORKS = {
    "starlette": "starlette_site:app",
    "fastapi": "fastapi_site:app",
    "litestar": "litestar_site:app",
    "quart": "quart_site:app",
    "django": "channelsite.asgi:app",
}


@pytest.fixture
def session() -> Any:
    with httpx.Client(trust_env=False, timeout=60) as session:
        yield session


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def start(server: Any, framework: str) -> Any:
    return server(application=FRAMEWORKS[framework], pythonpath=str(SITES))


def url(running: Any, path: str, scheme: str = "http") -> str:
    host, port = running.address
    return f"{scheme}://{host}:{port}{path}"


@pytest.mark.load
def test_requests_uploads_and_websockets(server: Any, session: httpx.Client, framework: str) -> None:
    running = start(server, framework)
    for _ in range(5):
        answer = session.get(url(running, "/"))
        assert (answer.status_code, framework in answer.text) == (200, True)
    size = 3_000_000
    assert session.post(url(running, "/upload"), content=bytes(size)).json() == {"size": size}
    blocks = (bytes(1000) for _ in range(500))
    assert session.post(url(running, "/upload"), content=blocks).json() == {"size": 500_000}
    assert session.get(url(running, "/missing")).status_code == 404
    with connect(url(running, "/ws", "ws"), max_size=None) as client:
        for text in ("hello", "é" * 100_000):
            client.send(text)
            assert client.recv(60) == text
    running.stop()
    assert "Traceback" not in running.log()


@pytest.mark.load
@pytest.mark.parametrize("kind", ["ticking", "silent"])
def test_a_stream_of_events_is_closed_when_its_client_leaves(
    server: Any, session: httpx.Client, kind: str
) -> None:
    """Its client just closes: who sends is refused, who waits for news is ended all the same."""
    running = start(server, "starlette")
    with session.stream("GET", url(running, f"/events/{kind}")) as answer:
        assert next(answer.iter_lines()) == "data: tick"
    session.close()
    running.await_left("closed")
    running.stop()
    assert "Traceback" not in running.log()


@pytest.mark.load
def test_a_stream_of_fastapi(server: Any, session: httpx.Client) -> None:
    running = start(server, "fastapi")
    with session.stream("GET", url(running, "/stream")) as answer:
        assert list(answer.iter_lines()) == [str(number) for number in range(1000)]


@pytest.mark.load
@pytest.mark.parametrize("name", ["starlette", "fastapi"])
def test_background_tasks_run_after_the_answer(server: Any, session: httpx.Client, name: str) -> None:
    running = start(server, name)
    assert "later" in session.get(url(running, "/background")).text
    running.await_left("background")


@pytest.mark.load
def test_static_files(server: Any, session: httpx.Client) -> None:
    running = start(server, "starlette")
    content = (SITES / "starlette_site.py").read_bytes()
    for path in ("/static/starlette_site.py", "/file"):
        first = session.get(url(running, path))
        assert first.content == content
        again = session.get(url(running, path), headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code in (200, 304)


@pytest.mark.load
def test_a_lifespan_of_fastapi(server: Any, session: httpx.Client) -> None:
    running = start(server, "fastapi")
    assert session.get(url(running, "/")).json() == "fastapi"
    assert running.left("started") is not None
    running.stop()
    until(lambda: running.left("stopped") is not None, "the end of the lifespan")
