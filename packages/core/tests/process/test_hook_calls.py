"""The hooks of a gunicorn configuration, taken through a server's life."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from typing import Any

HOOKS = """
import os
def _note(text, *more):
    with open(os.path.join(os.path.dirname(__file__), "hooks"), "a") as file:
        file.write(" ".join(str(part) for part in (text, *more)) + "\\n")
def _server(server):
    good = server.cfg.workers == 1 and server.log.info and server.pid and isinstance(server.WORKERS, dict)
    return ("arbiter" if server.pid == os.getpid() else "worker") if good else "bad"
def on_starting(server): _note("on_starting", _server(server), server.num_workers)
def when_ready(server): _note("when_ready", _server(server), server.address)
def on_reload(server): _note("on_reload", _server(server))
def pre_fork(server, worker): _note("pre_fork", _server(server), worker.age, worker.pid)
def post_fork(server, worker):
    _note("post_fork", _server(server), worker.pid == os.getpid(), worker.ppid == os.getppid())
def post_worker_init(worker): _note("post_worker_init", worker.pid == os.getpid(), worker.alive, callable(worker.wsgi))
def worker_int(worker): _note("worker_int", worker.pid == os.getpid())
def pre_request(worker, req): _note("pre_request", worker.nr, req.method, req.path)
def post_request(worker, req, environ, resp): _note("post_request", environ["PATH_INFO"], resp.status)
def child_exit(server, worker): _note("child_exit", _server(server), worker.age)
def worker_exit(server, worker): _note("worker_exit", worker.pid == os.getpid())
def nworkers_changed(server, new, old): _note("nworkers_changed", new, old)
def on_exit(server): _note("on_exit", _server(server))
"""


def test_every_hook_at_its_moment(server: Any, wait_until: Callable[..., Any]) -> None:
    """Boot, a request, a reload, a quick end of the worker, the end."""
    server.configure(HOOKS).start()
    path = server.directory / "hooks"

    def noted() -> list[str]:
        return path.read_text().splitlines()

    server.settled(1)
    web = str(server.directory / "web")
    assert noted() == [
        "on_starting arbiter 1",
        "nworkers_changed 1 None",
        "pre_fork arbiter 1 [booting]",
        "post_fork worker True True",
        "post_worker_init True True True",
        f"when_ready arbiter ['{web}']",
    ]
    path.write_text("")
    server.get("/x")
    wait_until(lambda: len(noted()) == 2, "a request's hooks")
    assert noted() == ["pre_request 0 GET /x", "post_request /x 200 OK"]
    path.write_text("")
    server.send(signal.SIGHUP)
    (worker,) = server.settled(1, generation=2)
    assert noted() == [
        "on_reload arbiter",
        "pre_fork arbiter 2 [booting]",
        "post_fork worker True True",
        "post_worker_init True True True",
        "worker_exit True",
        "child_exit arbiter 1",
    ]
    path.write_text("")
    os.kill(worker, signal.SIGINT)
    wait_until(lambda: "child_exit arbiter 2" in noted(), "the worker's end")
    server.settled(1)
    assert noted()[:3] == ["worker_int True", "worker_exit True", "child_exit arbiter 2"]
    path.write_text("")
    server.send(signal.SIGTTIN)
    server.settled(2)
    assert noted()[0] == "nworkers_changed 2 1"
    assert server.stop() == 0
    assert noted()[-1] == "on_exit arbiter"


UPGRADED = """
def pre_exec(server): _note("pre_exec", "child" if server.pid == os.getppid() else "elsewhere")
def ssl_context(config, default_factory): raise AssertionError("nothing here speaks TLS")
def worker_abort(worker): _note("worker_abort", worker.pid == os.getpid())
"""


def test_every_hook_of_an_upgrade(
    server: Any, wait_until: Callable[..., Any], is_alive: Callable[[int], bool]
) -> None:
    """USR2 and the end of the old: the new arbiter's hooks are those of a boot, the old one's those of a stop."""
    server.configure(HOOKS + UPGRADED).start()
    path = server.directory / "hooks"
    server.settled(1)
    path.write_text("")
    server.send(signal.SIGUSR2)
    wait_until(lambda: "when_ready" in path.read_text(), "the new arbiter is ready")
    server.logged("ready: ", 2)
    noted = path.read_text().splitlines()
    assert noted[0] == "pre_exec child"
    assert [line.split()[0] for line in noted[1:]] == [
        "on_starting",
        "nworkers_changed",
        "pre_fork",
        "post_fork",
        "post_worker_init",
        "when_ready",
    ]
    new = int(re.findall(r"the new arbiter has pid (\d+)", server.log())[0])
    path.write_text("")
    assert server.stop() == 0
    assert path.read_text().splitlines() == ["worker_exit True", "child_exit arbiter 1", "on_exit arbiter"]
    path.write_text("")
    os.kill(new, signal.SIGTERM)
    wait_until(lambda: not is_alive(new), "the end of the new arbiter")
    assert path.read_text().splitlines()[-1] == "on_exit arbiter"


def test_raising_hooks_end_nothing(server: Any) -> None:
    """Each is logged with its traceback; even one that exits."""
    names = {
        1: ("on_starting", "on_reload", "when_ready", "post_worker_init", "worker_int", "on_exit"),
        2: ("pre_fork", "post_fork", "child_exit", "worker_exit"),
        3: ("nworkers_changed",),
    }
    lines = [
        f"def {name}(*args): {'raise SystemExit(7)' if name == 'child_exit' else '1 / 0'}"
        for group in names.values()
        for name in group
    ]
    server.configure("\n".join(lines)).start()
    server.send(signal.SIGHUP)
    server.settled(1, generation=2)
    assert server.get()
    assert server.stop() == 0
    log = server.log()
    for group in names.values():
        for name in group:
            assert name == "worker_int" or f"hook {name} failed" in log, name


def test_raising_pre_request_is_a_500(server: Any) -> None:
    """Its request fails; the worker does not."""
    server.configure("def pre_request(worker, req): 1 / 0").start()
    (worker,) = server.settled(1)
    with server.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 500 ")
    assert server.settled(1) == [worker]


def test_wrong_arity_ends_the_start(server: Any) -> None:
    """It is told before anything is opened."""
    server.configure("def pre_fork(server): pass").launch()
    assert server.wait() == 1
    assert "pre_fork" in server.log().strip().splitlines()[-1]
    assert not (server.directory / "pid").exists()
