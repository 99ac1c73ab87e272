"""Socket activation and notifications, with the variables and descriptors that systemd gives."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostler import _systemd
from hostler.errors import ListenError


class Manager:
    """A service manager: hands sockets to a server and hears its notifications."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.address = str(server.directory / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def hear(self) -> list[str]:
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self._socket.close()

    def launch(self, *socks: socket.socket, names: str = "") -> None:
        """Start the server with these sockets as descriptors 3, 4, …"""
        passed = [sock.fileno() for sock in socks]

        names_ = {"LISTEN_FDNAMES": names} if names else {}
        count = {"LISTEN_FDS": str(len(passed))} if passed else {}
        self.server.environment = {"NOTIFY_SOCKET": self.address, **count, **names_}
        self.server.launch_activated(passed)


@pytest.fixture
def manager(server: Any) -> Iterator[Manager]:
    made = Manager(server)
    yield made
    made.close()


def listening(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen()
    return sock


def test_passed_sockets_are_served(manager: Manager, wait_until: Callable[..., Any]) -> None:
    """Several, by name; they stay when the server goes, reloads and upgrades."""
    server = manager.server
    paths = [str(server.directory / name) for name in ("first", "second")]
    socks = [listening(path) for path in paths]
    server.configure(bind=["fd://one", "fd://two"])
    manager.launch(*socks, names="one:two")
    server.logged("ready: ")
    for sock in socks:
        sock.close()
    assert server.get("/", "first")
    assert server.get("/", "second")
    wait_until(lambda: "READY=1" in manager.hear(), "READY")
    server.send(signal.SIGHUP)
    server.settled(1, generation=2)
    assert server.get("/", "second")
    wait_until(lambda: manager.hear().count("READY=1") == 2, "READY again")
    assert any(line.startswith("MONOTONIC_USEC=") for line in manager.heard)
    assert manager.heard.index("RELOADING=1") > manager.heard.index("READY=1")
    server.send(signal.SIGUSR2)
    server.logged("ready: ", 2)
    assert server.stop() == 0
    server.logged("this one takes its place")
    assert server.get("/", "first")
    assert any(line.startswith("MAINPID=") for line in manager.hear())
    assert all(os.path.exists(path) for path in paths)


def test_addresses_of_activated_sockets_need_no_bind(manager: Manager) -> None:
    """What the manager opened is served, whatever `bind` says."""
    server = manager.server
    sock = listening(str(server.directory / "activated"))
    manager.launch(sock)
    server.logged("ready: ")
    sock.close()
    assert server.get("/", "activated")
    assert not (server.directory / "web").exists()


def test_stopping_is_told(manager: Manager, wait_until: Callable[..., Any]) -> None:
    """READY once, STOPPING at the end."""
    server = manager.server
    manager.launch()
    server.logged("ready: ")
    assert server.stop() == 0
    wait_until(lambda: "STOPPING=1" in manager.hear(), "STOPPING")
    assert manager.heard.count("READY=1") == 1


def test_watchdog(manager: Manager, wait_until: Callable[..., Any]) -> None:
    """Signs of life at half the interval."""
    server = manager.server
    server.environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"}
    server.start()
    wait_until(lambda: manager.hear().count("WATCHDOG=1") >= 3, "signs of life")


def test_variables_of_another_process_are_not_ours() -> None:
    """LISTEN_PID names somebody else: nothing is taken, and nothing is left for children."""
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:b:c"}
    assert _systemd.listen_fds(environ) == []
    assert not environ


@pytest.mark.parametrize("count", ["x", "-1", "99999"])
def test_senseless_numbers_are_refused(count: str) -> None:
    """A clear error instead of a guess."""
    with pytest.raises(ListenError, match="LISTEN_FDS"):
        _systemd.listen_fds({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})


def test_descriptor_that_is_not_open_is_refused() -> None:
    """As the manager would never pass it."""
    high = str(1000)
    with pytest.raises(ListenError, match="is not open"):
        _systemd.listen_fds({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": high})


def test_notifications_without_a_manager_do_nothing() -> None:
    """No variable, no socket, no error."""
    notifier = _systemd.Notifier({})
    notifier.send("READY=1")
    notifier.beat(1.0)
    assert notifier.environment() == {}
