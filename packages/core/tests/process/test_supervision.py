"""Workers that die, hang or never start, and what the arbiter makes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest


def test_killed_worker_is_replaced(server: Any) -> None:
    """Its death is told with the signal; the server serves on."""
    server.configure(workers=2).start()
    pids = server.settled(2)
    os.kill(pids[0], signal.SIGKILL)
    server.logged(f"pid={pids[0]} killed by SIGKILL; requests in flight: ")
    assert pids[1] in server.settled(2)
    assert server.get()


@pytest.mark.parametrize("code", [3, 4, 0, 77])
def test_exit_codes_in_service_end_nothing(server: Any, code: int) -> None:
    """3 and 4 say that a start failed; an application that exits with them later is replaced like any other."""
    server.start()
    (before,) = server.settled(1)
    with server.connect() as sock:
        sock.sendall(b"GET /exit?%d HTTP/1.1\r\nHost: x\r\n\r\n" % code)
        server.logged(f"pid={before} exited with code {code}")
    (after,) = server.settled(1)
    assert server.get() == str(after)


def test_hanging_worker_is_aborted(server: Any) -> None:
    """Its stacks go to the log and the hook `worker_abort` runs; then another takes its place."""
    hook = "def worker_abort(worker): worker.log.error('aborted %s %s', worker.pid, worker.aborted)"
    server.configure(hook, timeout=3).start()
    (before,) = server.settled(1)
    with server.connect() as sock:
        sock.sendall(b"GET /sleep?600 HTTP/1.1\r\nHost: x\r\n\r\n")
        server.logged("gave no sign of life in time")
        server.logged(f"aborted {before} True")
        (after,) = server.settled(1)
    assert after != before
    assert 'app.py", line' in server.log()


def test_stopped_worker_is_killed(server: Any) -> None:
    """A process that cannot act on signals is killed in the end."""
    server.configure(timeout=3).start()
    (before,) = server.settled(1)
    os.kill(before, signal.SIGSTOP)
    server.logged(f"pid={before} killed by SIGKILL")
    assert server.settled(1) != [before]


def test_boot_timeout(server: Any) -> None:
    """An import that never ends is no sign of life."""
    server.write("app.py", "import time\nwhile True: time.sleep(1)\n")
    server.configure(boot_timeout=1).launch()
    server.logged("was not ready in time", 2)
    assert "app.py" in server.log()
    assert server.stop() == 0


def test_stop_during_a_long_import(server: Any, wait_until: Callable[..., Any]) -> None:
    """Nothing was accepted yet, so there is nothing to wait for."""
    server.write("app.py", "import time\nopen('importing', 'w').close()\ntime.sleep(600)\n")
    server.launch()
    wait_until((server.directory / "importing").exists, "the import")
    assert server.stop() == 0
    assert "in time" not in server.log()


@pytest.mark.parametrize(
    ("text", "code", "summary"),
    [
        ("import nowhere_to_be_found", 3, "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def broken(:", 3, "SyntaxError"),
        ("raise SystemExit(9)", 3, "SystemExit"),
        ("other = 1", 4, "has no 'application'"),
        ("application = 'text'", 4, "cannot be called"),
    ],
)
def test_failed_first_start(server: Any, text: str, code: int, summary: str) -> None:
    """One traceback for any number of workers, one line, gunicorn's exit code, nothing left behind."""
    server.write("app.py", text + "\n")
    server.configure(workers=3).launch()
    assert server.wait() == code
    log = server.log()
    last = log.strip().splitlines()[-1]
    assert last.startswith("hostler: error: "), log
    assert summary in last
    assert log.count("could not be loaded: ") == 1, log
    assert log.count("Traceback") == (code == 3), log
    assert {path.name for path in server.directory.iterdir()} <= {"app.py", "conf.py", "log", "__pycache__"}


def test_told_to_end_in_a_finalizer(server: Any, wait_until: Callable[..., Any]) -> None:
    """What a finalizer raises nobody hears: the worker ends all the same, as soon as it has begun."""
    text = """
        import os, pathlib, signal

        class Last:
            def __del__(self):
                if not pathlib.Path("told").exists():
                    pathlib.Path("told").touch()
                    os.kill(os.getpid(), signal.SIGTERM)
                    os.getpid()

        last = Last()
        del last

        def application(environ, start_response):
            start_response("200 OK", [])
            return [b"hello"]
        """
    server.write("app.py", textwrap.dedent(text))
    server.configure(workers=1).launch()
    # The first may be gone before the arbiter has read that it was ready; the worker after it serves.
    wait_until(lambda: " ready after" in "".join(server.log().split(" started")[2:]), "the worker after it")
    assert "Exception ignored" not in server.log()
    assert "Traceback" not in server.log()


def test_failed_first_start_tells_the_whole_story_of_an_error(server: Any) -> None:
    """The application's own error is named, not only what caused it."""
    server.write(
        "app.py",
        "try:\n    1 / 0\nexcept ArithmeticError as error:\n    raise RuntimeError('no key') from error\n",
    )
    server.configure().launch()
    assert server.wait() == 3
    log = server.log()
    assert "RuntimeError: no key" in log.strip().splitlines()[-1]
    assert "ZeroDivisionError" in log


@pytest.mark.load
def test_crash_at_import_backs_off(server: Any) -> None:
    """No storm of starts; in the end the first start is given up."""
    server.write("app.py", "import os\nos._exit(1)\n")
    server.configure(workers=2).launch()
    assert server.wait() == 3
    log = server.log()
    assert "in a row ended before they served" in log
    # Ten deaths, and those that were just starting at the tenth.
    assert 10 <= log.count(" started\n") <= 12


def test_orphans_end(server: Any, is_alive: Callable[[int], bool], wait_until: Callable[..., Any]) -> None:
    """Workers whose arbiter was killed leave by themselves, a stuck one too."""
    server.configure(workers=2, graceful_timeout=1).start()
    pids = server.settled(2)
    with server.connect() as sock:
        sock.sendall(b"GET /sleep?600 HTTP/1.1\r\nHost: x\r\n\r\n")
        server.busy()
        server.send(signal.SIGKILL)
        server.wait()
        wait_until(lambda: not any(is_alive(pid) for pid in pids), f"the end of the orphans; {server.log()}")


CONTAINER = """
import os, subprocess, sys, time
import ctypes
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: strangers' children come here, as to process 1
os.execv(sys.executable, [sys.executable, "-m", "hostler", "-c", sys.argv[1]])
"""

STRANGER = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while os.getppid() != int(sys.argv[1]):
            pass
        os._exit(3)
    os._exit(0)
os.wait()
"""


if sys.platform == "linux":  # other systems have no subreapers to play process 1 with

    def test_strangers_children_are_reaped_silently(server: Any, wait_until: Callable[..., Any]) -> None:
        """As process 1 would: an orphan that exits with 3 stops nothing and stays no zombie."""
        server.configure()
        with (server.directory / "log").open("ab") as log:
            server.process = subprocess.Popen(
                [sys.executable, "-c", CONTAINER, str(server.directory / "conf.py")],
                cwd=server.directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "HOSTLER_DISABLE_PLUGINS": "*"},
            )
        server.logged("ready: ")
        # The stranger has to be a descendant: the worker starts it, and it loses its parent.
        server.write(
            "app.py",
            "import os, subprocess, sys\n"
            f"subprocess.run([sys.executable, '-c', {STRANGER!r}, {str(server.pid)!r}], check=True)\n"
            "def application(environ, start_response):\n"
            "    start_response('200 OK', [('Content-Length', '2')])\n"
            "    return [b'ok']\n",
        )
        server.send(signal.SIGHUP)
        server.settled(1, generation=2)

        def zombies() -> str:
            done = subprocess.run(
                ["ps", "-o", "stat=", "--ppid", str(server.pid)], capture_output=True, text=True, check=False
            )
            return "Z" if "Z" in done.stdout else ""

        wait_until(lambda: not zombies(), "no zombie")
        assert "code 3" not in server.log()
        assert server.stop() == 0


def test_failed_fork_is_an_event(server: Any) -> None:
    """The arbiter says so, waits and tries again; it serves all the time."""
    server.configure(
        "import os\n"
        "_fork, _left = os.fork, [2]\n"
        "def _failing():\n"
        "    if os.path.exists('fail') and _left[0]:\n"
        "        _left[0] -= 1\n"
        "        raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "    return _fork()\n"
        "os.fork = _failing\n",
        workers=2,
    ).start()
    pids = server.settled(2)
    (server.directory / "fail").touch()
    os.kill(pids[0], signal.SIGKILL)
    server.logged("cannot fork: Resource temporarily unavailable", 2)
    assert pids[1] in server.settled(2)
