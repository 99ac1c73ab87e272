"""`daemon`: the command ends when the server is ready or has failed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any


def test_command_ends_when_the_server_is_ready(
    server: Any, wait_until: Callable[..., Any], is_alive: Callable[[int], bool]
) -> None:
    """Exit code 0, the server in a session of its own, its standard streams elsewhere."""
    log = server.directory / "error.log"
    server.configure(daemon=True, errorlog=str(log)).launch()
    assert server.wait() == 0
    pid = int((server.directory / "pid").read_text())
    try:
        assert "ready: " in log.read_text()
        assert pid != server.process.pid
        assert os.getsid(pid) != server.process.pid
        assert server.get()
        assert os.readlink(f"/proc/{pid}/fd/0") == os.readlink(f"/proc/{pid}/fd/2") == os.devnull
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_alive(pid), "the end of the daemon")
    assert not (server.directory / "pid").exists()


def test_failed_start_is_the_command_s(server: Any) -> None:
    """Its exit code and its one line."""
    server.write("app.py", "import nowhere_at_all\n")
    server.configure(daemon=True, errorlog=str(server.directory / "error.log")).launch()
    assert server.wait() == 3
    assert "nowhere_at_all" in server.log().strip().splitlines()[-1]
    assert "Traceback" in (server.directory / "error.log").read_text()
    assert not (server.directory / "pid").exists()


def test_failed_setting_is_the_command_s(server: Any) -> None:
    """What is wrong with an address is told on the terminal."""
    server.configure(daemon=True, bind="unix:/nowhere/at/all/socket").launch()
    assert server.wait() == 1
    assert "the directory does not exist" in server.log()
