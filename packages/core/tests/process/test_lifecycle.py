"""Starting, stopping, and the signals that change the number of workers."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest


def test_term_ends_everything(server: Any, is_alive: Callable[[int], bool]) -> None:
    """Exit code 0, no process, no socket, no pid file left."""
    server.configure(workers=2).start()
    pids = server.settled(2)
    assert int((server.directory / "pid").read_text()) == server.pid
    assert int(server.get()) in pids
    assert server.stop() == 0
    assert not any(is_alive(pid) for pid in pids)
    assert {path.name for path in server.directory.iterdir()} <= {"app.py", "conf.py", "log", "__pycache__"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_quick_stop_waits_for_no_request(server: Any, number: int) -> None:
    """INT and QUIT end a server whose worker is busy."""
    server.start()
    with server.connect() as sock:
        sock.sendall(b"GET /sleep?600 HTTP/1.1\r\nHost: x\r\n\r\n")
        server.busy()
        assert server.stop(number) == 0


def test_second_term_is_quick(server: Any) -> None:
    """A graceful stop waits for the request; the second TERM does not."""
    server.start()
    with server.connect() as sock:
        sock.sendall(b"GET /sleep?600 HTTP/1.1\r\nHost: x\r\n\r\n")
        server.busy()
        server.send(signal.SIGTERM)
        server.logged("stopping (graceful)")
        server.send(signal.SIGTERM)
        assert server.wait() == 0


def test_graceful_stop_finishes_a_request(server: Any, read_body: Callable[[socket.socket], str]) -> None:
    """What was in service when TERM came is answered."""
    server.start()
    with server.connect() as sock:
        sock.sendall(b"GET /sleep?1 HTTP/1.1\r\nHost: x\r\n\r\n")
        server.busy()
        server.send(signal.SIGTERM)
        assert read_body(sock)
    assert server.wait() == 0


def test_graceful_timeout_ends_a_stop(server: Any) -> None:
    """A request that takes longer than it is killed, and the stop is a stop all the same."""
    server.configure(graceful_timeout=0.5).start()
    with server.connect() as sock:
        sock.sendall(b"GET /sleep?600 HTTP/1.1\r\nHost: x\r\n\r\n")
        server.busy()
        assert server.stop() == 0
    assert "did not end in time: killed" in server.log()


def test_connections_made_before_term_are_answered(
    server: Any, read_body: Callable[[socket.socket], str]
) -> None:
    """A stopped worker's backlog is emptied before its listener goes."""
    server.start()
    (worker,) = server.settled(1)
    os.kill(worker, signal.SIGSTOP)
    socks = [server.connect() for _ in range(20)]
    for sock in socks:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    server.send(signal.SIGTERM)
    server.logged("stopping (graceful)")
    os.kill(worker, signal.SIGCONT)
    for sock in socks:
        with sock:
            assert read_body(sock) == str(worker)
    assert server.wait() == 0


def test_ttin_and_ttou(server: Any) -> None:
    """One more, one fewer, never none."""
    server.start()
    pids = server.settled(1)
    for count in (2, 3):
        server.send(signal.SIGTTIN)
        pids, before = server.settled(count), pids
        assert set(pids) > set(before)
    for count in (2, 1, 1):
        server.send(signal.SIGTTOU)
        assert set(server.settled(count)) <= set(pids)
    assert server.get()


@pytest.mark.parametrize(
    "number", [signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2, signal.SIGWINCH]
)
def test_arbiters_signals_do_not_harm_workers(server: Any, number: int) -> None:
    """`pkill -HUP hostler` reaches workers too."""
    server.start()
    (worker,) = server.settled(1)
    os.kill(worker, number)
    assert server.get() == str(worker)
    assert server.settled(1) == [worker]


def test_usr1_opens_logs_anew(server: Any, wait_until: Callable[..., Any]) -> None:
    """After a rotation, worker and arbiter write to the new file."""
    log = server.directory / "error.log"
    server.configure(errorlog=str(log), workers=1).launch()
    wait_until(lambda: log.exists() and "ready: " in log.read_text(), "ready")
    log.rename(server.directory / "error.old")
    server.send(signal.SIGUSR1)
    wait_until(log.exists, "a new log")
    server.send(signal.SIGTTIN)
    wait_until(lambda: "workers: 2" in log.read_text(), "a line in the new log")


def test_environment_directory_and_path(server: Any) -> None:
    """`raw_env`, `chdir` and `pythonpath` are there before the application is imported."""
    (server.directory / "work").mkdir()
    (server.directory / "library").mkdir()
    server.write("library/beside.py", "NAME = 'beside'\n")
    server.write(
        "app.py",
        "import os, beside\n"
        "assert os.environ['COLOUR'] == 'green'\n"
        "TEXT = (os.getcwd() + ' ' + beside.NAME).encode()\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', str(len(TEXT)))])\n"
        "    return [TEXT]\n",
    )
    server.configure(
        chdir=str(server.directory / "work"),
        pythonpath=f"{server.directory}/library,{server.directory}",
        raw_env=["COLOUR=green"],
    ).start()
    assert server.get() == f"{server.directory}/work beside"


def test_preload_shares_the_application(server: Any) -> None:
    """It is imported once, in the arbiter."""
    server.write(
        "app.py",
        "import os\nIMPORTED_BY = str(os.getpid()).encode()\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', str(len(IMPORTED_BY)))])\n"
        "    return [IMPORTED_BY]\n",
    )
    server.configure(preload_app=True, workers=2).start()
    server.settled(2)
    assert {server.get() for _ in range(4)} == {str(server.pid)}


@pytest.mark.parametrize("preload", [False, True])
def test_the_collector_leaves_alone_what_was_loaded(server: Any, *, preload: bool) -> None:
    """No object that the application made at its import is walked again."""
    server.write(
        "app.py",
        "import gc\nclass Kept: pass\nKEPT = [Kept() for _ in range(1000)]\n"
        "def application(environ, start_response):\n"
        "    text = str(sum(isinstance(each, Kept) for each in gc.get_objects())).encode()\n"
        "    start_response('200 OK', [('Content-Length', str(len(text)))])\n"
        "    return [text]\n",
    )
    server.configure(preload_app=preload).start()
    assert server.get() == "0"


def test_no_workers(server: Any) -> None:
    """`workers = 0` is ready at once, and TTIN starts the first."""
    server.configure(workers=0).start()
    server.send(signal.SIGTTIN)
    server.settled(1)
    assert server.stop() == 0
