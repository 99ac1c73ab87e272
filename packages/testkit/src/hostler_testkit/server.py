"""A real server in its own process group, started through its command line and waited for."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hostler_testkit.client import PATIENCE, Answer, Peer, until

LISTENING = re.compile(r"listening at:?\s+(?P<url>\S+)", re.IGNORECASE)


class Server:
    """A running `python -m hostler`; `directory` holds its files and what the application leaves."""

    def __init__(
        self,
        directory: Path,
        application: str,
        *,
        worker: str = "sync",
        bind: str | Sequence[str] = "127.0.0.1:0",
        configuration: str = "",
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.directory = directory
        self.application = application
        self.worker = worker
        self.configuration = directory / "server.conf.py"
        self.error_log = directory / "error.log"
        self.access_log = directory / "access.log"
        self._extra = configuration
        if settings.get("accesslog") is True:
            settings["accesslog"] = str(self.access_log)
        self._settings = {"worker_class": worker, "bind": bind, "workers": 1, **settings}
        self.write_configuration()
        self._command = [sys.executable, "-m", "hostler", "-c", str(self.configuration)]
        self._command += [*arguments, application]
        self._environment = {**os.environ, "HOSTLER_TESTKIT_DIRECTORY": str(directory), **(environment or {})}
        for name in ("WEB_CONCURRENCY", "HOSTLER_CMD_ARGS", "PYTEST_CURRENT_TEST"):
            self._environment.pop(name, None)
        self.process: subprocess.Popen[bytes] | None = None

    # -- configuration -----------------------------------------------------------------------------------

    def write_configuration(self, **changes: Any) -> None:
        """Write the configuration file, for a start or before a HUP."""
        self._settings.update(changes)
        lines = [f"{name} = {value!r}" for name, value in self._settings.items()]
        self.configuration.write_text("\n".join([*lines, self._extra, ""]))

    # -- its life ----------------------------------------------------------------------------------------

    def start(self, wait: bool = True) -> Server:
        """Start it; with `wait` until a worker is ready."""
        with self.error_log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=self._environment,
                start_new_session=True,
            )
        if wait:
            until(lambda: self._ended() or self.urls(), f"listening; log:\n{self.log()}")
            until(lambda: self._ended() or self.booted(), f"a ready worker; log:\n{self.log()}")
            assert not self._ended(), f"the server ended at once:\n{self.log()}"
        return self

    def _ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def booted(self) -> bool:
        """A worker has imported the kit's application, which says so; of another one only a request can tell."""
        return not self.application.startswith("hostler_testkit.") or any(self.directory.glob("imported.*"))

    @property
    def pid(self) -> int:
        """The arbiter's."""
        assert self.process is not None
        return self.process.pid

    def send_signal(self, number: int) -> None:
        """Send the arbiter a signal."""
        os.kill(self.pid, number)

    def wait(self, patience: float = PATIENCE) -> int:
        """Wait for the end; the exit code."""
        assert self.process is not None
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server did not end; log:\n{self.log()}") from None

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal and wait."""
        self.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """End whatever is left of it, without a question."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            self.process.poll()
        self.process.wait()

    def group(self) -> list[int]:
        """The processes of its group that are alive, itself among them."""
        return [pid for pid, _, group in processes() if group == self.pid]

    def children(self) -> list[int]:
        """The arbiter's children that are alive: workers and services."""
        return [pid for pid, parent, _ in processes() if parent == self.pid]

    # -- what it says ------------------------------------------------------------------------------------

    def log(self) -> str:
        """Everything that it wrote to its standard error so far."""
        return self.error_log.read_text(errors="replace") if self.error_log.exists() else ""

    def access(self) -> list[str]:
        """The lines of the access log, if one was configured to `access_log`."""
        return self.access_log.read_text().splitlines() if self.access_log.exists() else []

    def urls(self) -> list[str]:
        """What it listens at, as the log says, in order, each once."""
        found = [match["url"].rstrip(",") for match in LISTENING.finditer(self.log())]
        return list(dict.fromkeys(url for each in found for url in each.split(",") if url))

    def left(self, name: str) -> str | None:
        """What the application left under a name, None before it did."""
        path = self.directory / name
        return path.read_text() if path.exists() else None

    def await_left(self, name: str) -> str:
        """Wait for the application to leave something."""
        return until(lambda: self.left(name), f"{name}; log:\n{self.log()}") or ""

    def open_gate(self, name: str) -> None:
        """Let a request go that waits at `/gate`."""
        (self.directory / f"open.{name}").write_text("open")

    # -- clients -----------------------------------------------------------------------------------------

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first TCP listener."""
        return self.addresses()[0]

    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of every TCP listener."""
        found = [re.match(r"(?:[\w+.-]+://)?\[?([0-9a-f.:]+?)\]?:(\d+)/?$", url) for url in self.urls()]
        return [(match[1], int(match[2])) for match in found if match]

    def connect(
        self, address: tuple[str, int] | str | None = None, tls: ssl.SSLContext | None = None
    ) -> Peer:
        """A new connection; `address` may be the path of a Unix socket."""
        if isinstance(address, str):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(PATIENCE)
            sock.connect(address)
        else:
            sock = socket.create_connection(address or self.address, PATIENCE)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname="localhost")
        return Peer(sock)

    def request(self, method: str = "GET", target: str = "/", **more: Any) -> Answer:
        """One request over a connection of its own."""
        with self.connect() as peer:
            return peer.request(method, target, **more)

    def worker_pid(self) -> int:
        """The process that answered this request."""
        return int(self.request(target="/pid").body)


def processes() -> list[tuple[int, int, int]]:
    """Process, parent and group of everything on this machine that is not a zombie."""
    command = ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split()[:4] for line in listing.splitlines()]
    return [(int(pid), int(parent), int(group)) for pid, parent, group, state in rows if state[0] != "Z"]
