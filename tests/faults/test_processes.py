"""Faults of processes: F-01 to F-07, F-12 to F-15, F-18 to F-21, F-27, F-31, F-33, F-34."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.load

SLOW = "import time; time.sleep(0.5)\n"
EVERY_WORKER = pytest.mark.parametrize(
    "hostler_worker", ["sync", "gthread", "gevent", "eventlet"], indirect=True
)


@EVERY_WORKER
@pytest.mark.parametrize("keep", [False, True])
def test_f01_killed_worker(faulty: Any, keep: bool) -> None:
    """Others serve; lost are at most the requests that the dead worker had in hand; none is refused."""
    faulty.start(workers=3)
    with faulty.traffic(keep=keep) as traffic:
        for _ in range(5):
            traffic.flows()
            victim = faulty.settled(3)[0]
            os.kill(victim, signal.SIGKILL)
            faulty.logged(f"pid={victim} killed by SIGKILL; requests in flight: ")
        faulty.settled(3)
        traffic.flows()
    assert traffic.tally["refused"] == 0, traffic.failures
    # What a worker had in service or in its buffers died with it: of each client one request at most.
    assert traffic.tally["lost"] <= 5 * 4, traffic.failures


@EVERY_WORKER
def test_f02_hang_outside_the_interpreter(faulty: Any) -> None:
    """A worker that holds the interpreter's lock is killed; its sibling serves all the time."""
    faulty.make(workers=2, timeout=5)
    faulty.write(
        "app.py",
        "def application(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/hang':\n"
        "        open('busy', 'w').close()\n"
        "        sum(range(10**12))\n"
        "    start_response('200 OK', [('Content-Length', '2')])\n"
        "    return [b'ok']\n",
    )
    faulty.start()
    before = faulty.settled(2)
    with socket.create_connection(faulty.running.address) as sock:
        sock.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        faulty.busy()
        with faulty.traffic(clients=2) as traffic:
            faulty.logged("gave no sign of life in time")
            faulty.logged("killed by SIGKILL")
            after = faulty.settled(2)
            traffic.flows()
    assert len(set(before) & set(after)) == 1
    assert traffic.tally["refused"] == 0
    assert "in application" in faulty.log, "the stack of the stuck worker"


@EVERY_WORKER
def test_f05_reload_of_a_broken_application(faulty: Any) -> None:
    """All requests during it are answered by the old generation."""
    faulty.start(workers=2)
    before = faulty.settled(2)
    faulty.write("app.py", SLOW + "import nowhere_at_all\n")
    with faulty.traffic() as traffic:
        traffic.flows()
        faulty.send(signal.SIGHUP)
        faulty.logged("reload failed: ")
        traffic.flows()
    assert not traffic.failures
    assert faulty.settled(2) == before
    assert faulty.status()["reload_state"] == "failed"
    assert faulty.stop() == 0


def test_f06_crash_loop_with_ready_workers(faulty: Any) -> None:
    """Degraded, quiet, serving: the missing worker is tried again and again, ever more rarely."""
    faulty.make(workers=2)
    faulty.write(
        "app.py",
        "import os\n"
        "if os.path.exists('crash'): os._exit(1)\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', '2')])\n"
        "    return [b'ok']\n",
    )
    faulty.start()
    pids = faulty.settled(2)
    (faulty.directory / "crash").touch()
    os.kill(pids[0], signal.SIGKILL)
    with faulty.traffic(clients=2) as traffic:
        faulty.logged("exited with code 1", 5)
        traffic.flows()
    assert not traffic.failures
    assert not faulty.ended()
    (faulty.directory / "crash").unlink()
    assert pids[1] in faulty.settled(2)


def test_f07_fork_fails(faulty: Any) -> None:
    """Logged, tried again; nobody is refused."""
    faulty.make(
        workers=2,
        configuration="import os\n"
        "_fork = os.fork\n"
        "def fork():\n"
        "    if os.path.exists('nofork'):\n"
        "        raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "    return _fork()\n"
        "os.fork = fork\n",
    )
    faulty.start()
    pids = faulty.settled(2)
    (faulty.directory / "nofork").touch()
    os.kill(pids[0], signal.SIGKILL)
    with faulty.traffic(clients=2) as traffic:
        faulty.logged("cannot fork: ", 3)
        traffic.flows()
        (faulty.directory / "nofork").unlink()
        faulty.settled(2)
    assert traffic.tally["refused"] == 0


@EVERY_WORKER
@pytest.mark.parametrize("keep", [False, True])
def test_f12_storm_of_hups_under_load(faulty: Any, keep: bool) -> None:
    """One reload runs, one waits; no request is lost, no more than twice the workers run."""
    faulty.start(workers=2)
    with faulty.traffic(keep=keep) as traffic:
        traffic.flows()
        for _ in range(20):
            faulty.send(signal.SIGHUP)
            time.sleep(0.1)
        faulty.settled(2)
        traffic.flows()
    assert not traffic.failures
    assert not faulty.twice()


def arbiter_of(faulty: Any) -> int:
    """The new arbiter's pid."""
    faulty.logged("upgrade: the new arbiter has pid ")
    return int(re.findall(r"the new arbiter has pid (\d+)", faulty.log)[-1])


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_f14_upgrade_and_end_of_the_old(faulty: Any, keep: bool, number: int) -> None:
    """TERM to the old arbiter loses nothing; QUIT no more than what the old workers had in hand."""
    faulty.start(workers=2)
    with faulty.traffic(keep=keep) as traffic:
        traffic.flows()
        faulty.send(signal.SIGUSR2)
        faulty.logged("ready: ", 2)
        new = arbiter_of(faulty)
        traffic.flows()
        faulty.send(number)
        assert faulty.running.wait() == 0
        faulty.logged("this one takes its place")
        traffic.flows()
    assert traffic.tally["refused"] == 0, traffic.failures
    if number == signal.SIGTERM:
        assert not traffic.failures
        assert not faulty.twice()
    os.kill(new, signal.SIGTERM)
    faulty.wait_for(
        lambda: faulty.log.count("] ended") == 2 or faulty.log.count("INFO] ended") == 2, "the end"
    )


@pytest.mark.parametrize("keep", [False, True])
def test_f14_roll_back(faulty: Any, keep: bool) -> None:
    """WINCH, HUP, TERM to the new one: nothing is lost on the way back either."""
    faulty.start(workers=2)
    with faulty.traffic(keep=keep) as traffic:
        traffic.flows()
        faulty.send(signal.SIGUSR2)
        faulty.logged("ready: ", 2)
        new = arbiter_of(faulty)
        faulty.send(signal.SIGWINCH)
        faulty.logged("one worker too many", 2)
        traffic.flows()
        faulty.send(signal.SIGHUP)
        faulty.logged("reloaded: ")
        os.kill(new, signal.SIGTERM)
        faulty.logged("upgrade: the new arbiter ended (code 0)")
        traffic.flows()
    assert not traffic.failures
    assert not faulty.twice()
    assert faulty.stop() == 0


def test_f13_upgrade_to_a_broken_application(faulty: Any) -> None:
    """The old arbiter and its requests do not notice."""
    faulty.start(workers=2)
    faulty.write("app.py", "import nowhere_at_all\n")
    with faulty.traffic() as traffic:
        traffic.flows()
        faulty.send(signal.SIGUSR2)
        faulty.logged("upgrade: the new arbiter ended (code 3); this one serves on")
        traffic.flows()
    assert not traffic.failures
    assert faulty.stop() == 0


def test_f15_timers_are_monotonic() -> None:
    """Wall-clock time is read for logs and the Date field only: a clock that jumps moves no deadline."""
    import hostler

    readers = {
        path.name
        for path in Path(hostler.__file__).parent.rglob("*.py")
        if re.search(r"\btime\.time\(|datetime\.(now|utcnow)", path.read_text())
    }
    # _state, _reloading: times of events for the status. _tls: dates of certificates. _access*: the log's times.
    allowed = {"_state.py", "_reloading.py", "_tls.py", "_control_top.py", "_log_syslog.py", "_date.py"}
    assert not {name for name in readers - allowed if not name.startswith(("_access", "_log"))}


@pytest.mark.parametrize("keep", [False, True])
def test_f18_recycling_under_load(faulty: Any, keep: bool) -> None:
    """`max_requests` loses nothing."""
    faulty.start(workers=2, max_requests=100, max_requests_jitter=50)
    with faulty.traffic(keep=keep) as traffic:
        faulty.logged("is to be replaced: max_requests", 6)
        traffic.flows()
    assert not traffic.failures
    assert not faulty.twice()


@pytest.mark.parametrize("keep", [False, True])
def test_ttin_and_ttou_under_load(faulty: Any, keep: bool) -> None:
    """Workers come and go; nothing is lost."""
    faulty.start(workers=2)
    with faulty.traffic(keep=keep) as traffic:
        for _ in range(5):
            faulty.send(signal.SIGTTIN)
            faulty.settled(3)
            traffic.flows()
            faulty.send(signal.SIGTTOU)
            faulty.settled(2)
    assert not traffic.failures
    assert not faulty.twice()


@EVERY_WORKER
def test_f20_stop_with_requests_in_every_state(faulty: Any) -> None:
    """In service: answered. Made, but not accepted: answered."""
    faulty.start(workers=1)
    address = faulty.running.address
    request = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(address, 30) as slow:
        slow.sendall(request % b"/sleep?1")
        faulty.busy()
        queued = [socket.create_connection(address, 30) for _ in range(30)]
        for sock in queued:
            sock.sendall(request % b"/")
        faulty.send(signal.SIGTERM)
        for sock in [slow, *queued]:
            with sock:
                text = b"".join(iter(lambda: sock.recv(4096), b""))  # noqa: B023 - read before the next
                assert text.startswith(b"HTTP/1.1 200 "), text
    assert faulty.running.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_f21_second_signal(faulty: Any, number: int) -> None:
    """The server ends though a request would take ten minutes."""
    faulty.start(graceful_timeout=600)
    with socket.create_connection(faulty.running.address) as sock:
        sock.sendall(b"GET /sleep?600 HTTP/1.1\r\nHost: x\r\n\r\n")
        faulty.busy()
        faulty.send(signal.SIGTERM)
        faulty.logged("stopping (graceful)")
        faulty.send(number)
        assert faulty.running.wait() == 0


def test_f27_arbiter_killed(faulty: Any) -> None:
    """The workers finish and go; the address is free for the next server."""
    faulty.start(workers=2, graceful_timeout=5)
    address = faulty.running.address
    faulty.send(signal.SIGKILL)
    faulty.running.wait()
    faulty.wait_for(lambda: not faulty.running.group(), "the end of the workers")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)


def test_f31_stalled_control_client(faulty: Any) -> None:
    """Sixteen clients that say nothing or half a command hold up nobody."""
    faulty.start(workers=1)
    (before,) = faulty.settled(1)
    stalled = []
    for index in range(16):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(faulty.directory / "ctl"))
        if index % 2:
            sock.sendall(b'{"command": "sta')
        stalled.append(sock)
    os.kill(before, signal.SIGKILL)
    faulty.logged(" ready after ", 2)
    for sock in stalled:
        sock.close()
    assert faulty.settled(1) != [before]


def test_f33_two_hundred_forks(faulty: Any) -> None:
    """No deadlock of a fork beside a thread: the arbiter has one thread, always."""
    faulty.start(workers=4)
    for _ in range(50):
        assert faulty.ask("reload")["ok"]
        assert len(os.listdir(f"/proc/{faulty.pid}/task")) == 1
    faulty.settled(4, generation=51)


def test_f34_storm_of_signals_under_load(faulty: Any) -> None:
    """Handlers run anywhere, any number of times; nothing is lost."""
    faulty.start(workers=2)
    pids = [faulty.pid, *faulty.settled(2)]
    with faulty.traffic() as traffic:
        traffic.flows()
        for _ in range(500):
            for pid in pids:
                os.kill(pid, signal.SIGUSR1)
                os.kill(pid, signal.SIGWINCH)
            os.kill(faulty.pid, signal.SIGCHLD)
        traffic.flows()
    assert not traffic.failures
    assert [faulty.pid, *faulty.settled(2)] == pids
