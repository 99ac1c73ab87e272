"""Real sockets: opened, inherited, stale, in use."""

from __future__ import annotations

import dataclasses
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hostler._listeners import Inherited, OpenListener, open_listeners, unused
from hostler._values import ProtocolType
from hostler.errors import ListenError
from hostler.settings import Settings


@dataclasses.dataclass
class Configuration:
    settings: Settings
    origins: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    protocols: tuple[ProtocolType, ...] = (
        ProtocolType("http1", "m:o"),
        ProtocolType("gate", "m:o", schemes=("gate",), prompt=True),
    )


class Opened:
    """Opens listeners and closes them after the test."""

    def __init__(self) -> None:
        self.all: list[OpenListener] = []

    def __call__(
        self, *bind: str, origins: Mapping[str, Any] | None = None, **more: Any
    ) -> list[OpenListener]:
        keywords = {name: more.pop(name) for name in ("inherited", "activated", "current") if name in more}
        configuration = Configuration(Settings(bind=bind, **more), origins or {})
        found = open_listeners(configuration, attempts=1, **keywords)  # type: ignore[arg-type]
        self.all += found
        return found


@pytest.fixture
def opened() -> Iterator[Opened]:
    opener = Opened()
    yield opener
    for listener in opener.all:
        listener.close(unlink=True)


def talk(listener: OpenListener) -> None:
    """A connection comes through."""
    family = listener.socket.family
    address: Any = listener.address[0] if listener.unix else listener.address
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect(address)
        client.sendall(b"x")
        while True:
            deadline_poll(listener.socket)
            server, _ = listener.socket.accept()
            with server:
                server.settimeout(20)
                # Whoever looked whether somebody listens left a connection without a byte.
                if server.recv(1) == b"x":
                    return


def deadline_poll(sock: socket.socket) -> None:
    import select

    poller = select.poll()
    poller.register(sock, select.POLLIN)
    assert poller.poll(20_000)


def test_several_at_once(opened: Opened, tmp_path: Path) -> None:
    found = opened("127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/s", "localhost:0")
    for listener in found:
        talk(listener)
        assert not listener.socket.getblocking()
        assert not os.get_inheritable(listener.fileno())
    tcp, six, unix, local = found
    port = tcp.socket.getsockname()[1]
    assert (tcp.name, tcp.address, tcp.scheme, tcp.unix) == (
        f"http://127.0.0.1:{port}",
        ("127.0.0.1", port),
        "http",
        False,
    )
    assert six.name.startswith("http://[::1]:")
    assert (unix.name, unix.address, unix.unix) == (f"unix:{tmp_path}/s", (f"{tmp_path}/s", 0), True)
    assert local.address[0] == "127.0.0.1"


def test_small_answers_are_not_held_back(opened: Opened) -> None:
    (listener,) = opened("127.0.0.1:0")
    with socket.create_connection(listener.address):
        deadline_poll(listener.socket)
        server, _ = listener.socket.accept()
        with server:
            assert server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_in_use_is_one_line(opened: Opened) -> None:
    (first,) = opened("127.0.0.1:0")
    with pytest.raises(ListenError, match="in use") as caught:
        opened(f"127.0.0.1:{first.address[1]}")
    assert "\n" not in str(caught.value)


def test_in_use_is_tried_again(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = opened("127.0.0.1:0")
    port = first.address[1]
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            first.close()

    monkeypatch.setattr("hostler._listeners.time.sleep", wait)
    (second,) = open_listeners(Configuration(Settings(bind=(f"127.0.0.1:{port}",))))  # type: ignore[arg-type]
    opened.all.append(second)
    assert waits == [1, 1]


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        ("192.0.2.1:0", "no such address"),
        ("no-such-host.invalid:1", "not an address of this machine"),
        ("unix:/no/such/directory/s", "directory does not exist"),
        ("unix:/tmp/" + "x" * 120, "too long"),
        ("fd://999", "no open socket"),
        ("fd://web", "LISTEN_FDNAMES"),
    ],
)
def test_what_cannot_be_listened_on(opened: Opened, bind: str, words: str) -> None:
    with pytest.raises(ListenError, match=words):
        opened(bind)


def test_a_failure_closes_and_removes_what_was_opened(opened: Opened, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with pytest.raises(ListenError):
        opened(f"unix:{tmp_path}/s", "192.0.2.1:0")
    assert not (tmp_path / "s").exists()
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


# -- Unix sockets --------------------------------------------------------------------------------------


def test_a_stale_socket_is_replaced(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
        old.listen()
    assert path.exists()
    talk(opened(f"unix:{path}")[0])


def test_a_live_socket_is_not_taken(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "s"
    (first,) = opened(f"unix:{path}")
    with pytest.raises(ListenError, match="in use"):
        opened(f"unix:{path}")
    talk(first)


def test_a_live_socket_with_a_full_backlog_is_not_taken(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(str(path))
        with pytest.raises(ListenError, match="in use"):
            opened(f"unix:{path}")
        for client in clients:
            client.close()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_not_removed(opened: Opened, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s"
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "target")
    with pytest.raises(ListenError, match="not a socket"):
        opened(f"unix:{path}")
    assert os.path.lexists(path)


def test_only_our_own_file_is_removed(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "s"
    (first,) = opened(f"unix:{path}")
    path.unlink()
    (second,) = opened(f"unix:{path}")
    first.close(unlink=True)
    assert path.exists()
    talk(second)
    second.close(unlink=True)
    assert not path.exists()


@pytest.mark.parametrize(
    ("more", "origins", "mode"),
    [
        ({}, {}, 0o660),
        ({"socket_mode": 0o600}, {"socket_mode": "x"}, 0o600),
        ({"umask": 0o007}, {"umask": "x"}, 0o660),
        ({"umask": 0o000}, {"umask": "x"}, 0o666),
        ({"umask": 0o000, "socket_mode": 0o600}, {"umask": "x", "socket_mode": "x"}, 0o600),
    ],
)
def test_mode(opened: Opened, tmp_path: Path, more: Any, origins: Any, mode: int) -> None:
    umask = os.umask(0o022)
    try:
        opened(f"unix:{tmp_path}/s", origins=origins, **more)
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(umask)


def test_mode_of_one_table(opened: Opened, tmp_path: Path) -> None:
    table = {"bind": f"unix:{tmp_path}/s", "socket_mode": "0600"}
    found = opened("127.0.0.1:8000", listen=(table,))
    assert [listener.unix for listener in found] == [True]
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600


def test_owner(opened: Opened, tmp_path: Path) -> None:
    user, group = (1234, 2345) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    opened(f"unix:{tmp_path}/s", user=user, group=group)
    found = (tmp_path / "s").stat()
    assert (found.st_uid, found.st_gid) == (user, group)


def test_two_servers_that_start_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    code = (
        "import sys\n"
        "from types import SimpleNamespace as S\n"
        "from hostler._listeners import open_listeners\n"
        "from hostler.settings import Settings\n"
        "from hostler.errors import ListenError\n"
        "sys.stdin.readline()\n"
        "try:\n"
        f"    kept = open_listeners(S(settings=Settings(bind=('unix:{path}',)), origins={{}}), attempts=1)\n"
        "    print('mine', flush=True)\n"
        "except ListenError as error:\n"
        "    print('theirs', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for server in servers:
        assert server.stdin is not None
        server.stdin.write("\n")
        server.stdin.flush()
    said = []
    for server in servers:
        assert server.stdout is not None
        said.append(server.stdout.readline().strip())
    for server in servers:
        server.communicate("\n", timeout=30)
    assert sorted(said) == ["mine", "theirs", "theirs", "theirs"]


# -- inherited -----------------------------------------------------------------------------------------


def passed(sock: socket.socket, name: str = "") -> Inherited:
    """A descriptor of its own, as after an exec."""
    return Inherited(os.dup(sock.fileno()), name)


def test_a_number_names_a_passed_socket(opened: Opened) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        (listener,) = opened(f"fd://{os.dup(sock.fileno())}")
        talk(listener)


def test_a_pipe_is_no_socket(opened: Opened) -> None:
    reading, writing = os.pipe()
    with pytest.raises(ListenError, match="no open socket"):
        opened(f"fd://{reading}")
    os.close(reading)
    os.close(writing)


def test_a_datagram_socket_is_refused(opened: Opened) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(ListenError, match="stream"):
        opened(f"fd://{sock.fileno()}")


def test_an_older_arbiter_hands_over(opened: Opened, tmp_path: Path) -> None:
    binds = ("127.0.0.1:0", f"unix:{tmp_path}/s")
    old = opened(*binds)
    inherited = [passed(listener.socket) for listener in old]
    port = old[0].address[1]
    new = opened(f"unix:{tmp_path}/s", f"127.0.0.1:{port}", "[::1]:0", inherited=inherited)
    assert [listener.fileno() for listener in new[:2]] == [inherited[1].descriptor, inherited[0].descriptor]
    for listener in old:
        listener.close()
    for listener in new:
        talk(listener)
    new[0].close(unlink=True)
    assert not (tmp_path / "s").exists()


def test_systemd_decides_the_addresses(opened: Opened, tmp_path: Path) -> None:
    tcp, unix = opened("127.0.0.1:0", f"unix:{tmp_path}/s", backlog=7)
    inherited = [passed(unix.socket, "app.socket"), passed(tcp.socket, "web")]
    found = opened("127.0.0.1:8000", inherited=inherited, activated=True)
    assert [listener.name for listener in found] == [unix.name, tcp.name]
    for listener in found:
        talk(listener)


def test_names_of_systemd_choose_the_rules(opened: Opened, tmp_path: Path) -> None:
    tcp, unix = opened("127.0.0.1:0", f"unix:{tmp_path}/s")
    tables = (
        {"bind": "fd://web", "forwarded_allow_ips": "10.0.0.1"},
        {"bind": f"unix:{tmp_path}/s", "forwarded_allow_ips": "unix"},
    )
    inherited = [passed(unix.socket, "app"), passed(tcp.socket, "web")]
    found = opened("127.0.0.1:8000", listen=tables, inherited=inherited, activated=True)
    assert [listener.bind.forwarded_allow_ips for listener in found] == [("unix",), ("10.0.0.1",)]


# -- reload --------------------------------------------------------------------------------------------


def test_a_reload_keeps_what_stands(opened: Opened, tmp_path: Path) -> None:
    old = opened("127.0.0.1:0", f"unix:{tmp_path}/a", "[::1]:0")
    new = opened("127.0.0.1:0", f"unix:{tmp_path}/b", "[::1]:0", current=old, backlog=3)
    assert new[0].socket is old[0].socket
    assert new[0].bind.backlog == 3
    assert new[2].socket is old[2].socket
    gone = unused(new, old)
    assert gone == [old[1]]
    gone[0].close(unlink=True)
    assert not (tmp_path / "a").exists()
    for listener in new:
        talk(listener)


def test_a_failed_reload_leaves_the_old_ones(opened: Opened, tmp_path: Path) -> None:
    old = opened("127.0.0.1:0", f"unix:{tmp_path}/a")
    with pytest.raises(ListenError):
        opened("127.0.0.1:0", f"unix:{tmp_path}/a", "192.0.2.1:0", current=old)
    for listener in old:
        talk(listener)


# -- options -------------------------------------------------------------------------------------------


def test_each_worker_has_its_own_socket_with_reuse_port(opened: Opened) -> None:
    (listener,) = opened("127.0.0.1:0", reuse_port=True)
    own = listener.for_worker()
    opened.all.append(own)
    assert own.socket is not listener.socket
    assert own.address == listener.address
    # The arbiter's socket holds the port and takes no connection.
    talk(own)
    talk(own)


def test_without_reuse_port_workers_share(opened: Opened) -> None:
    (listener,) = opened("127.0.0.1:0")
    assert listener.for_worker() is listener


def test_both_wildcards_can_stand_side_by_side(opened: Opened) -> None:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        port = probe.getsockname()[1]
    four, six = opened(f"0.0.0.0:{port}", f"[::]:{port}")
    assert six.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as client:
            client.settimeout(20)
            client.connect((host, port))
            deadline_poll(four.socket if family == socket.AF_INET else six.socket)


def test_a_lone_ipv6_wildcard_takes_ipv4_too(opened: Opened) -> None:
    (six,) = opened("[::]:0")
    with socket.create_connection(("127.0.0.1", six.address[1]), timeout=20):
        deadline_poll(six.socket)


def test_how_many_wait(opened: Opened) -> None:
    (listener,) = opened("127.0.0.1:0")
    assert listener.waiting() in (0, -1)
    with socket.create_connection(listener.address), socket.create_connection(listener.address):
        deadline_poll(listener.socket)
        # Only Linux tells; elsewhere it is always -1.
        assert (listener.waiting() > 0) == (sys.platform == "linux")


DEFER = getattr(socket, "TCP_DEFER_ACCEPT", 0)
"""Where the system has none, connections come at once."""


def deferred(listener: OpenListener) -> bool:
    return bool(DEFER and listener.socket.getsockopt(socket.IPPROTO_TCP, DEFER))


def test_connections_of_prompt_peers_come_with_their_first_octets(opened: Opened) -> None:
    (listener,) = opened("gate://127.0.0.1:0")
    with socket.create_connection(listener.address, 20) as client:
        if DEFER:
            with pytest.raises(BlockingIOError):
                listener.socket.accept()
        client.sendall(b"x")
        deadline_poll(listener.socket)
        accepted, _ = listener.socket.accept()
        with accepted:
            assert accepted.recv(1) == b"x"


def test_silent_ones_come_all_the_same(opened: Opened) -> None:
    (listener,) = opened("gate://127.0.0.1:0")
    with socket.create_connection(listener.address, 20):
        deadline_poll(listener.socket)
        accepted, _ = listener.socket.accept()
        accepted.close()


@pytest.mark.parametrize(
    ("bind", "more"), [("127.0.0.1:0", {}), ("gate://127.0.0.1:0", {"reuse_port": True})]
)
def test_others_come_at_once(opened: Opened, bind: str, more: dict[str, Any]) -> None:
    (listener,) = opened(bind, **more)
    assert not deferred(listener)


def test_a_reload_to_another_protocol(opened: Opened) -> None:
    """The socket is kept, and what it does follows the protocol that it speaks."""
    first = opened("gate://127.0.0.1:0")
    assert deferred(first[0]) == bool(DEFER)
    second = opened("127.0.0.1:0", current=first)
    assert second[0].socket is first[0].socket
    assert not deferred(second[0])
    third = opened("gate://127.0.0.1:0", current=second)
    assert deferred(third[0]) == bool(DEFER)


def test_what_the_service_manager_set_up_is_left(opened: Opened) -> None:
    """`DeferAcceptSec=` of a systemd socket."""
    sock = socket.create_server(("127.0.0.1", 0))
    if DEFER:
        sock.setsockopt(socket.IPPROTO_TCP, DEFER, 1)
    (listener,) = opened(f"fd://{sock.detach()}")
    assert deferred(listener) == bool(DEFER)
