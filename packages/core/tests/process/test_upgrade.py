"""USR2: another arbiter takes over the listeners, or changes nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def upgraded(server: Any, wait_until: Callable[..., Any]) -> Any:
    """A server beside which a new arbiter is ready; its pid is `server.new`."""
    server.configure(workers=2).start()
    server.settled(2)
    server.send(signal.SIGUSR2)
    second = server.directory / "pid.2"
    wait_until(lambda: server.log().count("ready: ") == 2 and second.exists(), lambda: server.log())
    server.new = int(second.read_text())
    return server


def test_new_arbiter_takes_over(
    upgraded: Any, wait_until: Callable[..., Any], is_alive: Callable[[int], bool]
) -> None:
    """TERM to the old: the new one has the pid file's name and the socket, and no request failed."""
    server = upgraded
    failures: list[str] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            try:
                server.get()
            except (OSError, AssertionError) as error:
                failures.append(repr(error))

    client = threading.Thread(target=ask)
    client.start()
    try:
        assert server.stop() == 0
        wait_until(lambda: text(server.directory / "pid") == str(server.new), "the pid file's new content")
        assert not (server.directory / "pid.2").exists()
    finally:
        ended.set()
        client.join()
    assert not failures
    assert server.get()
    os.kill(server.new, signal.SIGTERM)
    wait_until(lambda: not is_alive(server.new), "the end of the new arbiter")
    assert not (server.directory / "web").exists()
    assert not (server.directory / "pid").exists()


def text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def test_roll_back(upgraded: Any) -> None:
    """WINCH sends the old workers away, HUP brings them back, TERM ends the new arbiter: the old one serves."""
    server = upgraded
    server.send(signal.SIGWINCH)
    server.logged("one worker too many", 2)
    assert server.get()
    server.send(signal.SIGHUP)
    server.logged("reloaded: generation 2 serves")
    os.kill(server.new, signal.SIGTERM)
    server.logged("upgrade: the new arbiter ended (code 0)")
    assert (server.directory / "web").exists()
    assert not (server.directory / "pid.2").exists()
    assert int(server.get()) in server.settled(2)
    assert int(text(server.directory / "pid")) == server.pid


def test_failed_upgrade_changes_nothing(server: Any) -> None:
    """A new arbiter whose application is broken ends by itself; mended, the next upgrade works."""
    server.start()
    before = server.settled(1)
    whole = (server.directory / "app.py").read_text()
    server.write("app.py", "import nowhere_at_all\n")
    server.send(signal.SIGUSR2)
    server.logged("upgrade: the new arbiter ended (code 3); this one serves on")
    assert (server.directory / "web").exists()
    assert server.settled(1) == before
    assert server.get() == str(before[0])
    assert not (server.directory / "pid.2").exists()
    server.write("app.py", whole)
    server.send(signal.SIGUSR2)
    server.logged("ready: ", 2)


def test_second_usr2_waits_for_the_first(upgraded: Any) -> None:
    """One upgrade at a time."""
    upgraded.send(signal.SIGUSR2)
    upgraded.logged("an upgrade is under way")
    assert upgraded.log().count("upgrade: the new arbiter has pid") == 1


def test_pre_exec_runs_in_the_child(server: Any) -> None:
    """The hook sees the server, in the process that becomes the new arbiter."""
    server.configure(
        "import os\ndef pre_exec(server): server.log.info('pre_exec %s %s', os.getpid() != server.pid, server.pid)"
    ).start()
    server.send(signal.SIGUSR2)
    server.logged(f"pre_exec True {server.pid}")
    server.logged("ready: ", 2)
