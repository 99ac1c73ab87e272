"""A server under test, the traffic that runs through a fault, and the count of what became of each request."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

APPLICATION = """
import os, time

HERE = os.path.dirname(os.path.abspath(__file__))
DONE = os.open(os.path.join(HERE, "done"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

def application(environ, start_response):
    query = environ["QUERY_STRING"]
    if environ["PATH_INFO"] == "/sleep":
        open(os.path.join(HERE, "busy"), "w").close()
        time.sleep(float(query))
    elif environ["PATH_INFO"] == "/id":
        os.write(DONE, (query + "\\n").encode())
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


class Traffic:
    """Clients that send requests with ids of their own until the end; `tally` says what became of them.

    ok; refused: no connection; lost: a request without a complete answer; idle: a kept connection that died
    before a byte of the answer came, which every client sends again.
    """

    def __init__(self, address: tuple[str, int], clients: int = 4, keep: bool = False) -> None:
        self.address = address
        self.keep = keep
        self.tally: Counter[str] = Counter()
        self.failures: list[str] = []
        self.slowest = 0.0
        self._ids = itertools.count()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def flows(self, count: int = 50) -> None:
        """Wait until so many more requests were answered."""
        wanted = self.tally["ok"] + count
        limit = time.monotonic() + 60
        while self.tally["ok"] < wanted:
            assert time.monotonic() < limit, f"no traffic: {self.tally} {self.failures[:3]}"
            time.sleep(0.01)

    def _run(self) -> None:
        kept: socket.socket | None = None
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                sock = kept or socket.create_connection(self.address, 30)
            except OSError as error:
                self._count("refused", error)
                continue
            reused, kept = kept is not None, None
            try:
                kept = self._ask(sock, reused)
            except OSError as error:
                self._count("lost", error)
                sock.close()
            self.slowest = max(self.slowest, time.monotonic() - began)
        if kept is not None:
            kept.close()

    def _ask(self, sock: socket.socket, reused: bool) -> socket.socket | None:
        close = "" if self.keep else "Connection: close\r\n"
        request = f"GET /id?{next(self._ids)} HTTP/1.1\r\nHost: x\r\n{close}\r\n".encode()
        text = b""
        try:
            sock.sendall(request)
            while not _complete(text):
                block = sock.recv(65536)
                if not block:
                    raise ConnectionError(f"closed after {text!r}")
                text += block
        except OSError:
            if reused and not text:
                self.tally["idle"] += 1
                sock.close()
                return None
            raise
        if not text.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(f"answered {text!r}")
        self.tally["ok"] += 1
        if self.keep and b"connection: close" not in text.lower():
            return sock
        sock.close()
        return None

    def _count(self, what: str, error: OSError) -> None:
        self.tally[what] += 1
        self.failures.append(f"{what}: {error!r}")
        time.sleep(0.01)


def _complete(text: bytes) -> bool:
    head, found, body = text.partition(b"\r\n\r\n")
    if not found:
        return False
    lines = head.lower().split(b"\r\n")
    length = next((line for line in lines if line.startswith(b"content-length:")), b":0")
    return len(body) >= int(length.partition(b":")[2])


class Faulty:
    """A server with an application of its own, and what a test needs to look into it."""

    def __init__(self, starter: Any) -> None:
        self._starter = starter
        self.running: Any = None

    def make(self, **settings: Any) -> Faulty:
        """Prepare one; it is not started yet."""
        self.running = self._starter.make("app:application", control_socket="ctl", **settings)
        self.write("app.py", APPLICATION)
        return self

    def start(self, **settings: Any) -> Faulty:
        """Start one and wait until it is ready."""
        if self.running is None:
            self.make(**settings)
        self.running.start(wait=False)
        self.wait_for(lambda: self.ended() or "ready: " in self.log, "ready")
        assert not self.ended(), self.log
        return self

    @property
    def directory(self) -> Path:
        return Path(self.running.directory)

    @property
    def pid(self) -> int:
        return int(self.running.pid)

    @property
    def log(self) -> str:
        return str(self.running.log())

    def ended(self) -> bool:
        return self.running.process.poll() is not None

    def write(self, name: str, text: str) -> None:
        (self.directory / f"{name}.new").write_text(text)
        os.replace(self.directory / f"{name}.new", self.directory / name)

    def wait_for(self, done: Callable[[], Any], what: str, patience: float = 60) -> Any:
        limit = time.monotonic() + patience
        while not (found := done()):
            assert time.monotonic() < limit, f"waited in vain for {what}; log:\n{self.log}"
            time.sleep(0.02)
        return found

    def logged(self, text: str, count: int = 1) -> None:
        self.wait_for(lambda: self.log.count(text) >= count, f"{text!r} x{count}")

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def stop(self) -> int:
        return int(self.running.stop())

    def ask(self, command: str, *words: str) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(str(self.directory / "ctl"))
            sock.sendall(json.dumps({"command": command, "words": words}).encode() + b"\n")
            text = b""
            while block := sock.recv(65536):
                text += block
        return dict(json.loads(text))

    def status(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            return dict(self.ask("status").get("data") or {})
        return {}

    def settled(self, count: int, generation: int | None = None) -> list[int]:
        """Wait until exactly so many workers run, all ready; their pids."""

        def look() -> list[int]:
            status = self.status()
            workers = status.get("workers", ())
            good = [w for w in workers if w["state"] == "ready" and generation in (None, w["generation"])]
            calm = status.get("state") == "serving" and len(workers) == len(good) == count
            return [worker["pid"] for worker in good] if calm else []

        return list(self.wait_for(look, f"{count} workers of generation {generation}"))

    def traffic(self, **options: Any) -> Traffic:
        return Traffic(self.running.address, **options)

    def busy(self) -> None:
        """Wait until the application works on `/sleep`."""
        path = self.directory / "busy"
        self.wait_for(path.exists, "a busy worker")
        path.unlink()

    def twice(self) -> list[str]:
        """Requests that the application saw more than once."""
        seen = Counter((self.directory / "done").read_text().split())
        return [name for name, count in seen.items() if count > 1]


@pytest.fixture
def faulty(server: Any) -> Faulty:
    return Faulty(server)
