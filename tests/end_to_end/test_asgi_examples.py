"""The examples `chat` and `fastapi-app`, as their first lines run them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from hostler_testkit.client import until
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_client

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WORKERS = ("asgi",)

connect = partial(connect_client, open_timeout=60, close_timeout=60)


def base(running: Any) -> str:
    """Where it listens, without the scheme."""
    host, port = running.address
    return f"{host}:{port}"


@pytest.fixture
def chat(server: Any) -> str:
    """The chat's address."""
    return base(server("chat:app", chdir=str(EXAMPLES / "chat"), worker="asgi"))


def test_chat(chat: str) -> None:
    """The page; what one says is told to everybody, itself included."""
    page = requests.get(f"http://{chat}/", timeout=60)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.content == (EXAMPLES / "chat" / "chat.html").read_bytes()
    assert requests.get(f"http://{chat}/none", timeout=60).status_code == 404
    with connect(f"ws://{chat}/") as one, connect(f"ws://{chat}/") as other:
        for text in ("hello", "¡hola!"):
            one.send(text)
            assert one.recv(timeout=60) == text
        # Whether the other was in the room already when the first was said is its own affair.
        other.send("bye")
        assert one.recv(timeout=60) == "bye"
        until(lambda: other.recv(timeout=60) == "bye", "what the other said itself")


class Page:
    """One page of a browser, looked into through its debugging socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is."""
        self._number += 1
        parameters = {"expression": expression, "returnByValue": True}
        call = {"id": self._number, "method": "Runtime.evaluate", "params": parameters}
        self._socket.send(json.dumps(call))
        while True:
            told = json.loads(self._socket.recv(timeout=60))
            if told.get("id") == self._number:
                return told["result"]["result"].get("value")


@pytest.fixture
def page(chat: str, tmp_path: Path) -> Iterator[Page]:
    """Headless Chromium with the chat's page open."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser, "a Chromium browser is needed: apt-get install chromium"
    profile = tmp_path / "profile"
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]
    words += [f"--user-data-dir={profile}", "--remote-debugging-port=0", f"http://{chat}/"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([browser, *words], stdout=quiet, stderr=quiet)
    try:
        told = profile / "DevToolsActivePort"
        until(lambda: told.exists() and "\n" in told.read_text(), "the browser's debugging port")
        port = told.read_text().splitlines()[0]

        def target() -> Any:
            pages = requests.get(f"http://127.0.0.1:{port}/json", timeout=60).json()
            return next((one for one in pages if one["type"] == "page" and chat in one["url"]), None)

        until(target, "the page")
        with connect(target()["webSocketDebuggerUrl"]) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.needs("chromium")
def test_chat_in_a_browser(chat: str, page: Page) -> None:
    """The page connects, says what is typed, and shows what others say."""
    until(lambda: page.value("document.getElementById('state')?.textContent") == "connected", "its WebSocket")
    with connect(f"ws://{chat}/") as other:
        other.send("from elsewhere")
        assert other.recv(timeout=60) == "from elsewhere"
        page.value("document.getElementById('text').value = 'typed'")
        page.value("document.getElementById('form').requestSubmit()")
        assert other.recv(timeout=60) == "typed"
        said = "[...document.querySelectorAll('#said li')].map(item => item.textContent)"
        until(lambda: page.value(said) == ["from elsewhere", "typed"], "both lines on the page")


@pytest.mark.load
def test_fastapi(server: Any) -> None:
    """Its answers, a background task, events that end with their client, an echo."""
    running = server("main:app", chdir=str(EXAMPLES / "fastapi-app"), worker="asgi")
    address = base(running)
    assert requests.get(f"http://{address}/", timeout=60).json() == {"hello": "world"}
    noted = requests.post(f"http://{address}/notes", params={"text": "milk"}, timeout=60)
    assert (noted.status_code, noted.json()) == (202, {"accepted": "milk"})
    until(
        lambda: requests.get(f"http://{address}/notes", timeout=60).json() == ["milk"], "the background task"
    )
    assert requests.get(f"http://{address}/docs", timeout=60).status_code == 200
    with requests.get(f"http://{address}/events", stream=True, timeout=60) as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        assert next(events.iter_lines()) == b"data: 0"
    with connect(f"ws://{address}/echo") as socket:
        socket.send("anybody?")
        assert socket.recv(timeout=60) == "anybody?"
