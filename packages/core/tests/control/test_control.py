"""The control socket with real clients, served as an arbiter's loop serves it."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hostler import _control, _control_paths
from hostler._control import CLIENTS, INPUT, ControlServer, peer_user
from hostler._control_client import ControlError, ask, find_socket, main, show, table
from hostler._control_commands import commands
from hostler.errors import HostlerError
from hostler.settings import Settings

LOG = logging.getLogger("test.control")


def wait_until(true: Any) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("loop")
class TestCommands:
    def test_status(self, path: str) -> None:
        found = ask(path, "status")
        assert found["state"] == "serving"
        assert found["workers"][0]["pid"] == 7

    def test_workers(self, path: str) -> None:
        assert ask(path, "workers")[0]["state"] == "ready"

    def test_add_and_remove(self, path: str) -> None:
        assert ask(path, "add") == {"wanted": 3}
        assert ask(path, "add", ["4"]) == {"wanted": 7}
        assert ask(path, "remove", ["2"]) == {"wanted": 5}

    def test_stop(self, path: str, arbiter: Any) -> None:
        ask(path, "stop")
        ask(path, "stop", ["quick"])
        assert arbiter.calls == [("stop", False), ("stop", True)]

    def test_an_answer_that_takes_time(self, path: str, arbiter: Any) -> None:
        found: list[Any] = []
        client = threading.Thread(target=lambda: found.append(ask(path, "reload")))
        client.start()
        wait_until(lambda: arbiter.calls == ["reload"])
        # Others are answered meanwhile.
        assert ask(path, "stacks", ["7"]) == {"text": "File x\n"}
        assert not found
        arbiter.reloaded = True
        client.join(30)
        assert found == [{"generation": 2}]

    @pytest.mark.parametrize(
        ("command", "words", "answer"),
        [
            ("nonsense", [], "there is no command 'nonsense'"),
            ("status", ["x"], "takes no further words"),
            ("add", ["x"], "number of workers"),
            ("add", ["0"], "number of workers"),
            ("add", ["1001"], "number of workers"),
            ("add", ["1", "2"], "number of workers"),
            ("stacks", [], "process id"),
            ("stacks", ["8"], "no worker has the process id 8"),
            ("stop", ["now"], "graceful"),
            ("service", ["x"], "no running service 'x'"),
            ("service", [], "name one"),
            ("service", ["broken"], "failed: ValueError"),
        ],
    )
    def test_refusals(self, path: str, command: str, words: list[str], answer: str) -> None:
        with pytest.raises(ControlError, match=answer) as caught:
            ask(path, command, words)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize(
        "line", [b"\n", b"nonsense\n", b"[]\n", b'{"command": 3}\n', b'{"command": "add", "words": [1]}\n', b"\xff\n",
                 b"[" * 30000 + b"\n"],
    )  # fmt: skip
    def test_what_is_no_command(self, path: str, line: bytes) -> None:
        assert raw(path, line) == {"ok": False, "error": "the command is not understood"}

    def test_an_endless_command(self, path: str) -> None:
        assert raw(path, b"x" * (INPUT + 1))["error"] == "the command is too long"

    def test_a_client_that_leaves(self, path: str) -> None:
        for sent in (b"", b'{"comm', b'{"command": "reload"}\n', b'{"command": "status"}\n'):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(sent)
        assert ask(path, "workers")


def raw(path: str, data: bytes) -> Any:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(data)
        answer = b""
        while block := client.recv(65536):
            answer += block
    return json.loads(answer)


def test_stalled_clients_hold_up_nobody(loop: Any, path: str) -> None:
    stalled = []
    for _ in range(CLIENTS * 2):
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        client.connect_ex(path)
        stalled.append(client)
    wait_until(lambda: len(loop.server._clients) == CLIENTS)
    before = loop.turns
    wait_until(lambda: loop.turns > before + 5)
    assert loop.server.busy
    for client in stalled:
        client.close()
    wait_until(lambda: not loop.server.busy)
    assert ask(path, "workers")


def test_a_stalled_client_is_dropped_in_time(loop: Any, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_control, "PATIENCE", 0.05)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(b'{"comm')
        assert client.recv(1) == b""
    assert not loop.server._clients


def test_an_answer_that_never_comes(loop: Any, path: str, arbiter: Any) -> None:
    del loop
    arbiter.patience = 0.05
    with pytest.raises(ControlError, match="not done within"):
        ask(path, "reload")


def test_other_users_are_refused(loop: Any, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del loop
    monkeypatch.setattr(_control, "peer_user", lambda sock: 12345)
    with pytest.raises(ControlError, match="not yours"):
        ask(path, "stop")


def test_who_the_peer_is() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert peer_user(here) == os.geteuid()


def test_permissions(path: str, arbiter: Any) -> None:
    server = ControlServer(path, 0o600, commands(arbiter), LOG)
    assert server.open()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    server.close()


# -- two servers, one path -----------------------------------------------------------------------------


def test_the_path_is_taken_over_when_the_other_leaves(
    path: str, arbiter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_control, "RETRY", 0.01)
    first, second = (ControlServer(path, 0o600, commands(arbiter), LOG) for _ in range(2))
    assert first.open()
    assert not second.open()
    for _ in range(3):
        second.turn()
    first.close()
    assert not os.path.exists(path)

    def taken() -> bool:
        second.turn()
        return os.path.exists(path)

    wait_until(taken)
    second.close()
    assert not os.path.exists(path)


def test_a_child_gives_it_up_without_harm(path: str, arbiter: Any) -> None:
    server = ControlServer(path, 0o600, commands(arbiter), LOG)
    assert server.open()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        server.turn()
        assert server.busy
        child = os.fork()
        if not child:
            server.abandon()
            os._exit(0)
        os.waitpid(child, 0)
        # The client that was there at the fork is still served.
        client.sendall(b'{"command": "workers"}\n')
        wait_until(lambda: server.turn() or not server.busy)
        assert json.loads(client.recv(65536))["ok"]
    server.close()


def test_a_stale_socket_is_replaced(path: str, arbiter: Any) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(path)
    server = ControlServer(path, 0o600, commands(arbiter), LOG)
    assert server.open()
    server.close()


def test_a_path_that_cannot_be_had(tmp_path: Path, arbiter: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = ControlServer(str(tmp_path / "no" / "ctl"), 0o600, commands(arbiter), LOG)
    assert not server.open()
    server._next_try = 0
    server.turn()
    assert len(caplog.records) == 1
    server.close()


# -- where it is ---------------------------------------------------------------------------------------


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(_control_paths, "directories", lambda: iter([str(tmp_path / "hostler")]))
    return tmp_path / "hostler"


def test_one_per_server_in_a_private_directory(runtime: Path) -> None:
    path = _control_paths.path_for(Settings(), 77)
    assert path == str(runtime / "77.ctl")
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700


def test_settings_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _control_paths.path_for(Settings(control_socket="x"), 77) == str(tmp_path / "x")
    assert _control_paths.path_for(Settings(control_socket_disable=True, control_socket="x"), 77) == ""


def test_a_directory_that_others_can_enter_is_not_used(runtime: Path) -> None:
    runtime.mkdir(mode=0o755)
    assert _control_paths.path_for(Settings(), 77) == ""


def test_the_shared_temporary_directory_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("HOME", "/")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert list(_control_paths.directories()) == []


def test_what_killed_servers_left_is_removed(runtime: Path) -> None:
    runtime.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead, socket.socket(socket.AF_UNIX) as live:
        dead.bind(str(runtime / "1.ctl"))
        live.bind(str(runtime / "2.ctl"))
        live.listen()
        (runtime / "3.txt").write_text("")
        _control_paths.path_for(Settings(), 77)
        assert sorted(os.listdir(runtime)) == ["2.ctl", "3.txt"]
        assert find_socket() == str(runtime / "2.ctl")
        assert find_socket(pid=2) == str(runtime / "2.ctl")
        (runtime.parent / "pid").write_text("2\n")
        assert find_socket(pidfile=str(runtime.parent / "pid")) == str(runtime / "2.ctl")


def test_which_server_is_meant(runtime: Path) -> None:
    assert find_socket(path="/x") == "/x"
    with pytest.raises(ControlError, match="no running server"):
        find_socket()
    with pytest.raises(ControlError, match="pid file"):
        find_socket(pidfile=str(runtime / "none"))
    runtime.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        for number, sock in enumerate((one, two)):
            sock.bind(str(runtime / f"{number}.ctl"))
            sock.listen()
        with pytest.raises(ControlError, match="choose one by --pid: 0, 1"):
            find_socket()
        with pytest.raises(ControlError, match="process id 9"):
            find_socket(pid=9)


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="is the server running"):
        ask(str(tmp_path / "none"), "status")


# -- the command ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("loop")
def test_the_command(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> str:
        assert main(["--control-socket", path, *words]) == 0
        return capsys.readouterr().out

    assert run("status").splitlines() == [
        "shop 1.0, pid 1, serving, up 1h01m",
        "  listening on http://127.0.0.1:8000",
        "  workers 2 ready of 2, generation 1",
        "",
        "PID  STATE  UPTIME   RSS  CPU  BEAT",
        "  7  ready   1m05s  3.0M  0.2     -",
    ]
    assert json.loads(run("--json", "workers"))[0]["pid"] == 7
    assert run("add", "3") == "wanted: 5\n"
    assert run("stacks", "7") == "File x\n"
    assert run("reopen-logs") == "done\n"
    with pytest.raises(HostlerError, match="number of workers"):
        run("add", "x")
    with pytest.raises(HostlerError, match="no running service"):
        run("nonsense")


def test_tables() -> None:
    assert table([]) == "none"
    assert show("x", [{"a": 1, "b": "x"}, {"a": 22, "c": [1]}]) == " A  B  C\n 1  x  -\n22  -  [1]"
    assert show("x", {"n": 1.5, "list": [1]}) == "n: 1.5\nlist: [1]"
    assert show("x", {"ok": True, "rows": [{"a": 1}], "n": 2}) == "n: 2\n\nrows:\nA\n1"
    assert show("x", {"apps": {"one": {"a": 1}}}) == "apps:\nNAME  A\none   1"
    assert show("x", {"ok": True}) == "done"
    assert show("x", {"ok": False, "error": "no"}) == "ok: False\nerror: no"
    assert show("x", "text\n") == "text"
    assert show("x", {"ok": True, "text": "as it is\n", "n": 1}) == "as it is"
    assert show("x", {"small": 0.00123456, "none": 0.0}) == "small: 0.0012\nnone: 0.0"


def test_top_without_its_library(path: str) -> None:
    code = (
        "import sys\n"
        "sys.modules['textual'] = sys.modules['rich'] = None\n"
        "from hostler._control_client import run\n"
        f"sys.exit(run(['--control-socket', {path!r}, 'top']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "hostler ctl: top needs the package textual; `pip install 'hostler[top]'`\n"
