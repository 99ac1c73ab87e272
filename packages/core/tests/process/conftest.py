"""Real servers for the tests of the process tower: started through the command, watched through its control socket."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 30.0

APPLICATION = """
import os, time
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/sleep":
        open(os.path.join(os.path.dirname(__file__), "busy"), "w").close()
        time.sleep(float(environ["QUERY_STRING"]))
    if path == "/exit":
        os._exit(int(environ["QUERY_STRING"]))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


def until(done: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait for a state; what `done` returned in the end."""
    limit = time.monotonic() + patience
    while not (found := done()):
        assert time.monotonic() < limit, f"waited in vain for {what() if callable(what) else what}"
        time.sleep(0.02)
    return found


class Server:
    """One server in its own session, with its files in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings: dict[str, Any] = {
            "bind": f"unix:{directory}/web",
            "control_socket": str(directory / "ctl"),
            "pidfile": str(directory / "pid"),
            "wsgi_app": "app:application",
            "workers": 1,
        }
        self.more = ""
        self.environment: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.write("app.py", APPLICATION)

    def write(self, name: str, text: str) -> None:
        """A file of the server's directory, replaced at once."""
        (self.directory / f"{name}.new").write_text(text)
        os.replace(self.directory / f"{name}.new", self.directory / name)

    def configure(self, more: str | None = None, **settings: Any) -> Server:
        """Settings of the configuration file, and further lines for it."""
        self.settings.update(settings)
        self.more = self.more if more is None else more
        lines = [f"{name} = {value!r}" for name, value in self.settings.items()]
        self.write("conf.py", "\n".join([*lines, self.more, ""]))
        return self

    def launch(self, *arguments: str, **options: Any) -> Server:
        """Start it without waiting."""
        return self.execute(["-m", "hostler", "-c", str(self.directory / "conf.py"), *arguments], **options)

    def launch_activated(self, descriptors: list[int]) -> Server:
        """Start it as systemd does: with these sockets as descriptors 3, 4, … and its own pid in LISTEN_PID."""
        wrapper = (
            "import os, sys\n"
            "passed = [os.dup2(int(text), 100 + i) for i, text in enumerate(sys.argv[2:])]\n"
            "for i, number in enumerate(passed):\n"
            "    os.dup2(number, 3 + i, inheritable=True)\n"
            "os.environ['LISTEN_PID'] = str(os.getpid())\n"
            "os.execv(sys.executable, [sys.executable, '-m', 'hostler', '-c', sys.argv[1]])\n"
        )
        words = ["-c", wrapper, str(self.directory / "conf.py"), *(str(number) for number in descriptors)]
        return self.execute(words, pass_fds=descriptors)

    def execute(self, words: list[str], **options: Any) -> Server:
        """Run Python with these words as the server."""
        self.configure()
        environment = {
            k: v for k, v in os.environ.items() if k not in ("WEB_CONCURRENCY", "HOSTLER_CMD_ARGS")
        }
        # Only the core is under test: a plugin that is half installed must not add its warnings.
        environment |= {"HOSTLER_DISABLE_PLUGINS": "*", **self.environment}
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=environment,
                start_new_session=True,
                **options,
            )
        return self

    def start(self, *arguments: str, **options: Any) -> Server:
        """Start it and wait until it is ready."""
        self.launch(*arguments, **options)
        until(lambda: self.ended() or "ready: " in self.log(), lambda: f"ready; log:\n{self.log()}")
        assert not self.ended(), self.log()
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def log(self) -> str:
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def logged(self, text: str, count: int = 1) -> None:
        """Wait until the log says it (so often)."""
        until(lambda: self.log().count(text) >= count, lambda: f"{text!r} x{count} in the log:\n{self.log()}")

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        assert self.process is not None
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end; log:\n{self.log()}") from None

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.send(number)
        return self.wait()

    def ask(self, command: str, *words: str) -> Any:
        """One command of the control socket."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(self.directory / "ctl"))
            sock.sendall(json.dumps({"command": command, "words": words}).encode() + b"\n")
            text = b""
            while block := sock.recv(65536):
                text += block
        return json.loads(text)

    def status(self) -> dict[str, Any]:
        try:
            return self.ask("status").get("data") or {}
        except (OSError, ValueError):
            return {}

    def workers(self, state: str = "ready") -> list[dict[str, Any]]:
        return [worker for worker in self.status().get("workers", ()) if worker["state"] == state]

    def settled(self, count: int, generation: int | None = None) -> list[int]:
        """Wait until exactly so many workers run, all ready; their pids."""

        def look() -> list[int]:
            status = self.status()
            workers = status.get("workers", ())
            good = [w for w in workers if w["state"] == "ready" and generation in (None, w["generation"])]
            calm = status.get("state") == "serving"
            return [w["pid"] for w in good] if len(workers) == len(good) == count and calm else []

        return until(look, lambda: f"{count} workers, generation {generation}; {self.status()}\n{self.log()}")

    def busy(self) -> None:
        """Wait until the application works on a request of `/sleep`."""
        path = self.directory / "busy"
        until(path.exists, "a busy worker")
        path.unlink()

    def get(self, path: str = "/", name: str = "web") -> str:
        """The body of one request over the Unix socket."""
        with self.connect(name) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return body_of(sock)

    def connect(self, name: str = "web") -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(str(self.directory / name))
        return sock

    def kill(self) -> None:
        """End whatever is left of its session."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def body_of(sock: socket.socket) -> str:
    """Read an answer to its end; its body."""
    text = b""
    while block := sock.recv(65536):
        text += block
    head, _, body = text.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), text
    return body.decode()


def alive(pid: int) -> bool:
    """The process runs (and is not just waiting to be reaped)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    listing = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(listing.stdout.strip()) and not listing.stdout.startswith("Z")


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that is not started yet; whatever it leaves is ended and removed."""
    # Not in pytest's own directory: the path of a Unix socket has little room.
    directory = Path(tempfile.mkdtemp(prefix="hst-"))
    directory.chmod(0o755)
    made = Server(directory)
    yield made
    made.kill()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    return until


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    return alive


@pytest.fixture
def read_body() -> Callable[[socket.socket], str]:
    return body_of
