"""The servers that are compared: their command lines, and one of them running.

It knows how a server starts, answers and is ended; it does not know what is measured.
"""

from __future__ import annotations

import http.client
import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SERVER_CPU = "0"
BOOT_SECONDS = 20.0
STOP_SECONDS = 5.0
# Variables from which a server would take settings that no command line here shows.
FOREIGN = (
    "HOSTLER_",
    "GUNICORN_",
    "GRANIAN_",
    "UVICORN_",
    "WEB_CONCURRENCY",
    "PYTHON",
    "FORWARDED_ALLOW_IPS",
)

BJOERN = (
    "import importlib, sys, bjoern; module, _, name = sys.argv[1].partition(':'); "
    "bjoern.run(getattr(importlib.import_module(module), name), '127.0.0.1', int(sys.argv[2]))"
)
HOSTLER = "-m hostler --bind 127.0.0.1:{port} --workers {workers} {app}"
GUNICORN = "-m gunicorn --bind 127.0.0.1:{port} --workers {workers} {app}"
GRANIAN = "-m granian --host 127.0.0.1 --port {port} --workers {workers} --http 1 --runtime-threads 1 --no-log {app}"


class ServerFailed(Exception):
    """A server did not start, ended, or did not answer as expected; the message says what and where."""


@dataclass(frozen=True)
class Server:
    """A server with its options; `needs` are the distributions without which it is left out."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...]

    def words(self, app: str, port: str, workers: int) -> list[str]:
        """Its arguments to the interpreter; `app` is the name of one of `apps.py`."""
        values = {"port": port, "app": f"apps:{app}", "workers": str(workers)}
        return [word.format(**values) if "{" in word else word for word in self.command]

    def line(self, app: str, workers: int) -> str:
        """The command line as a person would type it in the root of the checkout."""
        words = [word.replace(f"{ROOT}/", "") for word in self.words(app, "PORT", workers)]
        return shlex.join(["python", *words])


def server(name: str, command: str, *options: str, needs: str) -> Server:
    """A server whose command is split at spaces; options stand behind it as they are."""
    return Server(name, (*command.split(), *options), tuple(needs.split()))


_ALL = (
    server("hostler sync", HOSTLER, "--worker-class", "sync", needs="hostler"),
    server(
        "hostler sync, access log", HOSTLER, "-k", "sync", "--access-logfile", "/dev/null", needs="hostler"
    ),
    server("hostler gthread 4", HOSTLER, "-k", "gthread", "--threads", "4", needs="hostler-gthread"),
    server("hostler gthread 32", HOSTLER, "-k", "gthread", "--threads", "32", needs="hostler-gthread"),
    server("hostler, each handed over", HOSTLER, "-k", "handed:worker", "--threads", "4", needs="hostler"),
    server("hostler gevent", HOSTLER, "-k", "gevent", needs="hostler-gevent"),
    server("hostler asgi", HOSTLER, "-k", "asgi", "--asgi-loop", "uvloop", needs="hostler-asgi uvloop"),
    server("gunicorn sync", GUNICORN, "-k", "sync", needs="gunicorn"),
    server("gunicorn gthread 4", GUNICORN, "-k", "gthread", "--threads", "4", needs="gunicorn"),
    server("gunicorn gthread 32", GUNICORN, "-k", "gthread", "--threads", "32", needs="gunicorn"),
    server("gunicorn gevent", GUNICORN, "-k", "gevent", needs="gunicorn gevent"),
    server("gunicorn asgi", GUNICORN, "-k", "asgi", "--asgi-loop", "uvloop", needs="gunicorn uvloop"),
    server("granian wsgi", GRANIAN, "--interface", "wsgi", "--blocking-threads", "1", needs="granian"),
    server("granian wsgi 4", GRANIAN, "--interface", "wsgi", "--blocking-threads", "4", needs="granian"),
    server("granian asgi", GRANIAN, "--interface", "asgi", "--loop", "uvloop", needs="granian uvloop"),
    server(
        "uvicorn",
        "-m uvicorn --host 127.0.0.1 --port {port} --workers {workers} --http httptools --loop uvloop",
        *("--no-access-log", "--log-level", "warning", "{app}"),
        needs="uvicorn httptools uvloop",
    ),
    Server("bjoern", ("-c", BJOERN, "{app}", "{port}"), ("bjoern",)),
    server("bare loop", f"{HERE / 'bare_loop.py'} {{app}} {{port}}", needs="httptools"),
)
SERVERS = {each.name: each for each in _ALL}


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A server in a session of its own, pinned to its CPU; leaving the context ends every process of it."""

    def __init__(self, server: Server, python: Path, app: str, workers: int = 1, pinned: bool = True) -> None:
        self.server = server
        self.port = free_port()
        self.asked = self.port
        """Where requests go: a web server in front of it has another port."""
        pinning = ("taskset", "-c", SERVER_CPU) if pinned else ()
        self.command = [*pinning, str(python), *server.words(app, str(self.port), workers)]
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.output: IO[bytes] | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Running:
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.output = (Path(self.folder.name) / "output").open("w+b")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        try:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder.name,
                env={**environment, "PYTHONPATH": str(HERE)},
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.await_answer()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process that was started; also the number of its session."""
        if self.process is None:
            raise RuntimeError("the server was not started")
        return self.process.pid

    def await_answer(self) -> None:
        """Return once `GET /` is answered with 200."""
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                break
            try:
                if self.request("GET", "/")[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
        raise ServerFailed(f"{self.server.name} did not start: {self.tail()}")

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of one request on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.asked, timeout=5)
        try:
            client.request(method, path, body, {"Connection": "close"})
            answer = client.getresponse()
            return answer.status, answer.read()
        finally:
            client.close()

    def tail(self) -> str:
        """The end of what the server printed, in one line."""
        if self.output is None:
            return ""
        self.output.seek(0)
        text = self.output.read().decode("utf-8", "replace")
        return " / ".join(text.strip().splitlines()[-4:])[-400:]

    def pids(self) -> list[int]:
        """Every living process of the server's session."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            if int(fields[3]) == self.pid and fields[0] != "Z":
                found.append(int(path.parent.name))
        return found

    def stop(self) -> None:
        """TERM to the main process, then KILL to what is left of the session."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
            deadline = time.monotonic() + STOP_SECONDS
            while (left := self.pids()) and time.monotonic() < deadline:
                for pid in left:
                    self.kill(pid)
                time.sleep(0.02)
            self.process.wait()
        if self.output is not None:
            self.output.close()
        if self.folder is not None:
            self.folder.cleanup()

    @staticmethod
    def kill(pid: int) -> None:
        """KILL a process that may have ended already."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
