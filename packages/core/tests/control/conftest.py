"""A control server in a loop such as an arbiter's, and what stands for the arbiter."""

from __future__ import annotations

import importlib.util
import logging
import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostler._control import ControlServer, Pending, Refused
from hostler._control_commands import commands

# The live view needs a package that the core does not.
collect_ignore = [] if importlib.util.find_spec("textual") else ["test_top.py"]

LOG = logging.getLogger("test.control")


class Arbiter:
    """What a control socket sees of one."""

    def __init__(self) -> None:
        self.wanted = 2
        self.calls: list[Any] = []
        self.reloaded = False
        self.patience = 20.0

    def status(self) -> dict[str, Any]:
        return {
            "pid": 1,
            "name": "shop",
            "version": "1.0",
            "uptime": 3700.0,
            "state": "serving",
            "listeners": ["http://127.0.0.1:8000"],
            "wanted": self.wanted,
            "ready": 2,
            "generation": 1,
            "reload": "",
            "services": [],
            "events": [],
        }

    def workers(self) -> list[dict[str, Any]]:
        return [{"pid": 7, "state": "ready", "uptime": 65.0, "rss": 3 << 20, "cpu": 0.25, "beat": None}]

    def reload(self) -> Pending:
        self.calls.append("reload")
        return Pending(lambda: {"generation": 2} if self.reloaded else None, self.patience)

    def change_workers(self, by: int) -> dict[str, Any]:
        self.wanted += by
        return {"wanted": self.wanted}

    def stacks(self, pid: int) -> Pending:
        if pid != 7:
            raise Refused(f"no worker has the process id {pid}")
        return Pending(lambda: {"text": "File x\n"})

    def reopen_logs(self) -> dict[str, Any]:
        self.calls.append("reopen")
        return {}

    def stop(self, quick: bool) -> dict[str, Any]:
        self.calls.append(("stop", quick))
        return {}

    def service(self, name: str) -> dict[str, Any] | None:
        if name == "broken":
            raise ValueError("secret")
        return {"values": {"path": "/x"}, "settings": {}} if name == "dirty" else None


class Loop:
    """An arbiter's loop around one control server, in a thread."""

    def __init__(self, server: ControlServer) -> None:
        self.server = server
        self.turns = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        poller = select.poll()
        poller.register(self.server.fileno(), select.POLLIN)
        while not self._ended.is_set():
            poller.poll(20)
            self.server.turn()
            self.turns += 1

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(30)
        self.server.close()


@pytest.fixture
def arbiter() -> Arbiter:
    return Arbiter()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "ctl")


@pytest.fixture
def loop(path: str, arbiter: Arbiter) -> Iterator[Loop]:
    server = ControlServer(path, 0o600, commands(arbiter), LOG)
    assert server.open()
    running = Loop(server)
    yield running
    running.stop()
    assert not os.path.exists(path)
