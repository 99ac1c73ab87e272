"""A server of this package's worker, started as a user starts it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60.0


def until(reached: Callable[[], Any], what: str) -> Any:
    """Ask until it is true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = reached()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE:g} s: {what}")


class Server:
    """One running server; its log is a file."""

    def __init__(self, directory: Path, source: str, *arguments: str) -> None:
        (directory / "application.py").write_text(source)
        self.log_file = directory / "log"
        command = [sys.executable, "-m", "hostler", "--bind", "127.0.0.1:0", *arguments, "application:app"]
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
        until(lambda: " ready: " in self.log or self.process.poll() is not None, "ready")
        match = re.search(r"listening at http://127\.0\.0\.1:(\d+)", self.log)
        assert match is not None, self.log
        self.port = int(match[1])

    @property
    def log(self) -> str:
        """What the server said so far."""
        return self.log_file.read_text()

    def get(self, path: str = "/") -> tuple[int, bytes]:
        """One request on a connection of its own."""
        peer = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            peer.request("GET", path)
            answer = peer.getresponse()
            return answer.status, answer.read()
        finally:
            peer.close()

    def stop(self) -> int:
        """TERM, and the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    """`server(source, *arguments)`."""
    running: list[Server] = []

    def start(source: str, *arguments: str) -> Server:
        running.append(Server(tmp_path, source, *arguments))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            os.kill(one.process.pid, signal.SIGTERM)
            try:
                one.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()
