"""A worker's life: stop, reload, crash, replacement, hooks, and what the operator reads of it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from hostler_testkit.client import NoAnswer, message, until
from hostler_testkit.server import Server


def refused(running: Server) -> bool:
    """New connections are no longer taken."""
    try:
        socket.create_connection(running.address, 5).close()
    except OSError:
        return True
    return False


# -- stop ------------------------------------------------------------------------------------------------


def test_term_finishes_what_is_in_flight(server: Any, worker_value: Any) -> None:
    """New connections are refused, the request in service gets its answer, the exit code is 0.

    A worker that runs one request at a time cannot close its listener before that one is over.
    """
    running = server(graceful_timeout=60)
    with running.connect() as peer:
        peer.send(message(target="/gate?name=a"))
        running.await_left("entered.a")
        running.send_signal(signal.SIGTERM)
        if worker_value.multiplexes:
            until(lambda: refused(running), "the listener is closed")
        else:
            until(lambda: "stopping" in running.log(), "the arbiter has taken the signal")
        running.open_gate("a")
        answer = peer.answer()
        assert answer.body == b"through"
        assert peer.rest() == b""
    assert running.wait() == 0
    until(lambda: not running.group(), "no process left")


def test_term_does_not_wait_for_idle_connections(server: Any) -> None:
    """A kept-alive connection without a request is closed at once, as is one that never spoke."""
    running = server(keepalive=300, first_byte_timeout=300, graceful_timeout=300)
    with running.connect() as idle, running.connect() as silent:
        assert idle.request().body == b"hello"
        assert running.request().body == b"hello"
        running.send_signal(signal.SIGTERM)
        assert idle.rest() == b""
        assert silent.rest() == b""
        assert running.wait() == 0


def test_graceful_timeout_is_a_bound(server: Any) -> None:
    """A request that never ends does not keep the server."""
    running = server(graceful_timeout=1)
    with running.connect() as peer:
        peer.send(message(target="/gate?name=a"))
        running.await_left("entered.a")
        running.stop()
    assert running.left("passed.a") is None
    until(lambda: not running.group(), "no process left")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_quick_stop(server: Any, number: int) -> None:
    """INT and QUIT wait for no request."""
    running = server(graceful_timeout=300)
    with running.connect() as peer:
        peer.send(message(target="/gate?name=a"))
        running.await_left("entered.a")
        running.stop(number)
    assert running.left("passed.a") is None
    until(lambda: not running.group(), "no process left")


# -- reload ----------------------------------------------------------------------------------------------


def test_reload_replaces_the_worker(server: Any) -> None:
    """HUP: a new process serves, while the old one finishes its request."""
    running = server(graceful_timeout=60)
    old = running.worker_pid()
    with running.connect() as peer:
        peer.send(message(target="/gate?name=a"))
        running.await_left("entered.a")
        running.send_signal(signal.SIGHUP)
        until(lambda: any(pid != old for pid in running.children()), "a new worker")
        until(lambda: running.worker_pid() != old, "an answer of the new worker")
        running.open_gate("a")
        assert peer.answer().body == b"through"
    until(lambda: old not in running.children(), "the end of the old worker")


def test_reload_under_load(server: Any) -> None:
    """No connection is refused or left without its answer."""
    running = server(workers=2)
    failures: list[str] = []
    served = [0]
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            try:
                answer = running.request()
                if answer.body != b"hello":
                    failures.append(repr(answer))
            except (OSError, NoAnswer) as error:
                failures.append(repr(error))
            served[0] += 1

    thread = threading.Thread(target=client)
    thread.start()
    try:
        for _ in range(3):
            old = set(running.children())
            running.send_signal(signal.SIGHUP)
            until(lambda: len(now := running.children()) == 2 and not old & set(now), "a new generation")  # noqa: B023
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert served[0] > 0


def test_reload_reads_the_settings_again(server: Any) -> None:
    """A changed file counts from the next worker on."""
    running = server()
    running.write_configuration(limit_request_line=200)
    assert running.request(target="/none?" + "a" * 500).status == 404
    running.send_signal(signal.SIGHUP)
    until(lambda: running.request(target="/none?" + "a" * 500).status == 414, "the new limit")


# -- crash and replacement -------------------------------------------------------------------------------


def test_crash_is_repaired(server: Any) -> None:
    """The client sees the end of its connection, the next one is served by a new process."""
    running = server()
    old = running.worker_pid()
    with running.connect() as peer:
        peer.send(message(target="/crash"))
        assert peer.rest() == b""
    assert running.worker_pid() != old
    assert running.stop() == 0


def test_killed_while_idle(server: Any) -> None:
    """Nobody notices but the log."""
    running = server()
    old = running.worker_pid()
    os.kill(old, signal.SIGKILL)
    until(lambda: old not in running.children(), "the end of the old worker")
    assert running.worker_pid() != old
    assert str(old) in running.log()


def test_max_requests(server: Any) -> None:
    """After so many requests another process goes on, and no request is lost."""
    running = server(max_requests=5)
    pids: set[int] = set()

    def seen() -> int:
        pids.add(running.worker_pid())
        return len(pids)

    until(lambda: seen() >= 3, "three workers, one after the other")


def test_more_and_fewer_workers(server: Any) -> None:
    """TTIN and TTOU."""
    running = server()
    for number, count in ((signal.SIGTTIN, 2), (signal.SIGTTIN, 3), (signal.SIGTTOU, 2), (signal.SIGTTOU, 1)):
        running.send_signal(number)
        until(lambda: len(running.children()) == count, f"{count} workers")  # noqa: B023
    assert running.request().body == b"hello"


def test_preloaded_application(server: Any) -> None:
    """`preload_app`: imported once by the arbiter, served by its workers."""
    running = server(preload_app=True, workers=2)
    assert running.request().body == b"hello"
    assert running.left(f"imported.{running.pid}") is not None
    assert running.worker_pid() != running.pid


# -- boot ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("application", "code", "words"),
    [
        ("hostler_testkit.applications.broken:app", 3, "broken on purpose"),
        ("hostler_testkit.applications.notes:app", 4, "app"),
        ("no_such_module_anywhere:app", 3, "no_such_module_anywhere"),
    ],
)
def test_application_that_cannot_be_loaded(server: Any, application: str, code: int, words: str) -> None:
    """The server says why and ends; nothing is left."""
    running = server(application, wait=False)
    ended = running.wait()
    assert ended == code or (code == 4 and ended == 3)
    assert words in running.log()
    until(lambda: not running.group(), "no process left")


# -- listeners -------------------------------------------------------------------------------------------


def test_unix_socket_beside_tcp(server: Any, hostler_directory: Path) -> None:
    """Several listeners at once; the socket's file goes with the server."""
    path = str(hostler_directory / "listen.sock")
    running = server(bind=["127.0.0.1:0", f"unix:{path}", "127.0.0.1:0"])
    first, second = running.addresses()
    assert first != second
    with running.connect(path) as peer:
        assert peer.request().body == b"hello"
    for address in (first, second):
        with running.connect(address) as peer:
            assert peer.request().body == b"hello"
    assert running.stop() == 0
    assert not os.path.exists(path)


# -- hooks and logs --------------------------------------------------------------------------------------

HOOKS = """
from hostler_testkit.applications.notes import directory
def note(text):
    with open(directory() / "hooks", "a") as file:
        file.write(text + "\\n")
def on_starting(server): note("on_starting")
def when_ready(server): note("when_ready")
def pre_fork(server, worker): note("pre_fork")
def post_fork(server, worker): note("post_fork")
def post_worker_init(worker): note("post_worker_init")
def pre_request(worker, req): note("pre_request " + str(worker.pid > 0))
def post_request(worker, req, environ, resp): note("post_request")
def worker_exit(server, worker): note("worker_exit")
def child_exit(server, worker): note("child_exit")
def on_exit(server): note("on_exit")
"""


def test_hooks(server: Any) -> None:
    """Each is called at its moment, with gunicorn's arguments."""
    running = server(configuration=HOOKS)
    assert running.request().body == b"hello"
    until(lambda: "post_request" in (running.left("hooks") or ""), "post_request")
    assert running.stop() == 0
    called = (running.left("hooks") or "").split("\n")
    order = ["on_starting", "pre_fork", "post_fork", "post_worker_init", "pre_request True", "post_request"]
    order += ["worker_exit", "child_exit", "on_exit"]
    assert [name for name in called if name in order] == order
    assert called.count("when_ready") == 1


FORMAT = "%(h)s|%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(B)s|%(r)s|%(f)s|%(a)s|%({x-id}i)s|%({content-type}o)s"


def test_access_log(server: Any) -> None:
    """The atoms say what happened; a line break of the client's is escaped."""
    running = server(accesslog=True, access_log_format=FORMAT)
    fields = [("User-Agent", 'kit "quoted"'), ("Referer", "http://r.example/"), ("X-Id", "7")]
    running.request(target="/?a=b", headers=fields)
    running.request("POST", "/echo", body=b"four")
    running.request(target="/none%0Aforged")
    lines = until(lambda: len(found := running.access()) >= 3 and found, "three lines") or []
    assert len(lines) == 3
    parts = lines[0].split("|")
    assert parts[:8] == ["127.0.0.1", "GET", "/", "a=b", "HTTP/1.1", "200", "5", "GET /?a=b HTTP/1.1"]
    assert parts[8] == "http://r.example/"
    assert "quoted" in parts[9]
    assert parts[10:] == ["7", "text/plain"]
    assert lines[1].split("|")[1:7] == ["POST", "/echo", "", "HTTP/1.1", "200", "4"]
    assert lines[2].split("|")[5] == "404"


def test_usr1_opens_the_logs_again(server: Any) -> None:
    """After a rotation new lines go to a new file."""
    running = server(accesslog=True)
    running.request()
    until(lambda: running.access(), "a line")
    running.access_log.rename(running.directory / "access.old")
    running.send_signal(signal.SIGUSR1)
    until(lambda: running.request().status == 200 and running.access(), "a line in the new file")
