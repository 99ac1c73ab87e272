"""HUP: a new generation proves itself before the old one goes."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

NUMBERED = """
TEXT = b"{0}"
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", str(len(TEXT)))])
    return [TEXT]
"""


def test_new_code_is_served(server: Any) -> None:
    """All workers are of the new generation in the end."""
    server.write("app.py", NUMBERED.format("one"))
    server.configure(workers=2).start()
    before = server.settled(2)
    assert server.get() == "one"
    server.write("app.py", NUMBERED.format("two, longer"))
    server.send(signal.SIGHUP)
    after = server.settled(2, generation=2)
    assert not set(before) & set(after)
    assert server.get() == "two, longer"
    assert server.status()["reload"] == "ok"


def test_settings_are_read_anew(server: Any) -> None:
    """The number of workers, the address, the pid file."""
    server.start()
    server.configure(
        workers=3, bind=f"unix:{server.directory}/other", pidfile=str(server.directory / "pid.other")
    )
    server.send(signal.SIGHUP)
    server.settled(3, generation=2)
    assert server.get("/", "other")
    server.logged("no longer listening at ")
    assert not (server.directory / "web").exists()
    assert not (server.directory / "pid").exists()
    assert int((server.directory / "pid.other").read_text()) == server.pid


def broken(server: Any, before: list[int], why: str) -> None:
    server.send(signal.SIGHUP)
    server.logged("reload failed")
    assert server.settled(len(before)) == before
    assert server.get()
    status = server.status()
    assert status["reload_state"] == "failed"
    assert why in status["reload"], status
    assert status["generation"] == 1


def test_broken_application_changes_nothing(server: Any) -> None:
    """The old generation serves on; once mended, the next reload works."""
    server.configure(workers=2).start()
    before = server.settled(2)
    whole = (server.directory / "app.py").read_text()
    server.write("app.py", "import nowhere_at_all\n")
    broken(server, before, "No module named 'nowhere_at_all'")
    server.write("app.py", whole)
    server.send(signal.SIGHUP)
    server.settled(2, generation=2)
    assert server.status()["reload"] == "ok"


def test_crashing_application_changes_nothing(server: Any) -> None:
    """Even one that takes its process down."""
    server.start()
    before = server.settled(1)
    server.write("app.py", "import os; os._exit(5)\n")
    broken(server, before, "exited with code 5")


def test_broken_configuration_changes_nothing(server: Any) -> None:
    """A syntax error or a bad value of the file is told in one line."""
    server.start()
    before = server.settled(1)
    server.write("conf.py", "this is no python\n")
    broken(server, before, "conf.py")


def test_address_in_use_changes_nothing(server: Any) -> None:
    """A new address that cannot be had does not cost the old one."""
    server.start()
    before = server.settled(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server.configure(bind=[f"unix:{server.directory}/web", f"127.0.0.1:{port}"])
        broken(server, before, "in use")


@pytest.mark.load
def test_slow_application_stalls_nobody(server: Any) -> None:
    """While the new generation imports, the old one answers; no request fails."""
    server.write("app.py", "import time\ntime.sleep(1)\n" + NUMBERED.format("one"))
    server.configure(workers=2).start()
    failures: list[str] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            try:
                server.get()
            except (OSError, AssertionError) as error:
                failures.append(repr(error))

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        for generation in (2, 3):
            server.send(signal.SIGHUP)
            server.settled(2, generation=generation)
    finally:
        ended.set()
        for client in clients:
            client.join()
    assert not failures


@pytest.mark.load
def test_storm_of_hups_is_coalesced(server: Any) -> None:
    """One reload runs and one waits; never more workers than twice the wanted."""
    server.write("app.py", "import time\ntime.sleep(0.3)\n" + NUMBERED.format("one"))
    server.configure(workers=2).start()
    most = 0
    for _ in range(20):
        server.send(signal.SIGHUP)
        most = max(most, len(server.status().get("workers", ())))
        time.sleep(0.05)
    pids = server.settled(2)
    assert most <= 5, "two of each generation, and one that is leaving"
    assert server.status()["generation"] <= 12
    assert server.settled(2) == pids


def test_term_during_a_reload(server: Any) -> None:
    """Obeyed at once, though the new generation is still importing."""
    server.start()
    server.write("app.py", "import time\ntime.sleep(600)\n")
    server.send(signal.SIGHUP)
    server.logged("gen=2")
    assert server.stop() == 0


def test_reload_by_control_says_why_it_failed(server: Any) -> None:
    """The command waits for the end and has its reason."""
    server.start()
    assert server.ask("reload")["ok"]
    server.write("app.py", "import nowhere_at_all\n")
    answer = server.ask("reload")
    assert not answer["ok"]
    assert "nowhere_at_all" in answer["error"]


@pytest.mark.load
def test_many_reloads_leave_nothing(server: Any, wait_until: Callable[..., Any]) -> None:
    """Descriptors and threads of the arbiter are what they were."""
    server.start()
    server.send(signal.SIGHUP)
    server.settled(1, generation=2)

    def usage() -> tuple[int, int]:
        return len(os.listdir(f"/proc/{server.pid}/fd")), len(os.listdir(f"/proc/{server.pid}/task"))

    before = usage()
    for _ in range(50):
        assert server.ask("reload")["ok"]
    server.settled(1)
    wait_until(lambda: usage() == before, lambda: f"{before}, is {usage()}")


def test_changed_file_reloads(server: Any) -> None:
    """`reload`: new code without a signal."""
    server.write("app.py", NUMBERED.format("one"))
    server.configure(reload=True, reload_engine="poll").start()
    assert server.get() == "one"
    server.write("app.py", NUMBERED.format("two, longer"))
    server.settled(1, generation=2)
    assert server.get() == "two, longer"


def test_syntax_error_keeps_a_development_server_up(server: Any, wait_until: Callable[..., Any]) -> None:
    """The traceback is served until the file is mended."""
    server.write("app.py", "def broken(:\n")
    server.configure(reload=True, reload_engine="poll").start()

    def page() -> str:
        with server.connect() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            text = b""
            while block := sock.recv(65536):
                text += block
        return text.decode()

    assert "SyntaxError" in page()
    server.write("app.py", NUMBERED.format("mended"))
    wait_until(lambda: "mended" in page(), "the mended application")
