"""The suite's server: one HTTP worker, the suite's apps, and the executor under test, by the real command line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hostler_dirty.conformance._calls import LIMIT
from hostler_dirty.conformance.apps import PICKLES, PLAIN

PATIENCE = 120.0
"""Seconds for the start, for a check, and for the stop."""


class Server:
    """A server that runs checks."""

    def __init__(
        self,
        executor: str,
        directory: str | Path,
        more: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`executor`: empty when a configuration says it. `directory` is for sockets and the log, `more` are words for
        the command line. The server is up when this is made.

        Raises RuntimeError, with the log, if it does not come up.
        """
        self._directory = Path(directory)
        self._path = str(self._directory / "http")
        self.log = self._directory / "log"
        apps = ["--dirty-app", f"{PLAIN}:2", "--dirty-app", PICKLES]
        command = [
            sys.executable, "-m", "hostler", "-b", f"unix:{self._path}", "-w", "1", "--timeout", str(int(PATIENCE)),
            "--control-socket", str(self._directory / "control"), *apps, "--dirty-workers", "2",
            *(("--dirty-executor", executor) if executor else ()), "--dirty-max-payload", str(LIMIT), *more,
            "hostler_dirty.conformance._web:app",
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}
            )
        try:
            self._await()
        except BaseException:
            self.stop()
            raise

    def check(self, name: str) -> None:
        """Run one check. Raises AssertionError, with the traceback, if it does not hold."""
        status, text = self.get(name)
        if status != 200:
            raise AssertionError(f"{name}: {text}")

    def get(self, path: str) -> tuple[int, str]:
        """Ask the server: the status and the text. Raises OSError."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(self._path)
            sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: suite\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while data := sock.recv(65536):
                answer += data
        head, _, body = answer.partition(b"\r\n\r\n")
        words = head.split(maxsplit=2)
        return int(words[1]) if len(words) > 1 else 0, body.decode("utf-8", "replace")

    def logged(self) -> str:
        """Its log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """Stop it; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def _await(self) -> None:
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < until:
            try:
                if self.get("")[0] == 404:
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"the server did not come up:\n{self.logged()}")


@contextmanager
def serving(
    executor: str, directory: str | Path, more: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server with this executor; it is stopped at the end, and its exit code must be 0."""
    server = Server(executor, directory, more, env)
    try:
        yield server
    finally:
        code = server.stop()
    if code:
        raise AssertionError(f"the server ended with {code}:\n{server.logged()}")
