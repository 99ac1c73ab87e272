"""A server with a dirty pool, started by the real command line, and a client of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

SITE = Path(__file__).parent
PATIENCE = 60.0


def wait_for(condition, what):
    """Poll until the condition holds; its value."""
    until = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < until, f"{what} did not come about"
        time.sleep(0.02)


class Server:
    """By default with a pool of two slots, one of which hosts the model."""

    def __init__(
        self, worker, directory, *more, app="", dirty="pool_site:Model", slots=2, environment=None, cpus=""
    ):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = directory / "log"
        app = app or ("pool_site:asgi" if worker == "asgi" else "pool_site:wsgi")
        command = [
            sys.executable, "-m", "hostler", "-k", worker, "-w", "2", "-b", f"127.0.0.1:{self.port}",
            "--control-socket", str(directory / "ctl"), "--dirty-app", dirty, "--dirty-workers", str(slots),
            "--chdir", str(SITE), *more, app,
        ]  # fmt: skip
        self.control = str(directory / "ctl")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **(environment or {})}
            )
        if cpus:
            os.sched_setaffinity(self.process.pid, [int(cpu) for cpu in cpus.split(",")])
        wait_for(self.up, "the server")

    def up(self):
        assert self.process.poll() is None, self.log.read_text()
        return "ready: 2 worker" in self.log.read_text()

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
            return answer.read().decode()

    def ctl(self, *words):
        done = subprocess.run(
            [sys.executable, "-m", "hostler", "ctl", "--control-socket", self.control, "--json", "dirty", *words],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return json.loads(done.stdout)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)
