"""Faults of descriptors, disks and files: F-08 to F-11, F-16, F-17, F-22, F-23, F-32, F-35."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.load

LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
"""


def test_f08_out_of_descriptors(faulty: Any) -> None:
    """More connections than descriptors: no worker dies, and the server answers once there is room."""
    faulty.start(workers=1, keepalive=60, configuration=LIMITED)
    (before,) = faulty.settled(1)
    crowd = [socket.create_connection(faulty.running.address, 30) for _ in range(100)]
    for sock in crowd:
        sock.setblocking(False)
    faulty.logged("cannot accept a connection")
    for sock in crowd:
        sock.close()
    with faulty.traffic(clients=2) as traffic:
        traffic.flows()
    assert faulty.settled(1) == [before]


def test_f09_failing_accepts(faulty: Any) -> None:
    """Errors of one connection are not the listener's."""
    faulty.start(
        workers=1,
        configuration="import errno, socket\n"
        "_accept, _errors = socket.socket.accept, [errno.ECONNABORTED, errno.EPROTO, errno.EINTR, errno.ENOBUFS]\n"
        "def accept(self):\n"
        "    accept.count = getattr(accept, 'count', 0) + 1\n"
        "    if self.family == socket.AF_INET and accept.count % 3 == 0:\n"
        "        code = _errors[accept.count // 3 % 4]\n"
        "        raise OSError(code, errno.errorcode[code])\n"
        "    return _accept(self)\n"
        "socket.socket.accept = accept\n",
    )
    before = faulty.settled(1)
    with faulty.traffic(clients=2) as traffic:
        traffic.flows(200)
    assert traffic.tally["refused"] == 0
    assert faulty.settled(1) == before


def test_f10_full_disk_for_the_log(faulty: Any) -> None:
    """Requests go on; only lines are lost."""
    faulty.start(workers=1, accesslog="/dev/full")
    with faulty.traffic(clients=2) as traffic:
        traffic.flows(100)
    assert not traffic.failures
    assert faulty.stop() == 0


def full_disk(directory: Path) -> Path:
    """A file system without room, in an own name space; or, without root, a directory that cannot be written."""
    place = directory / "full"
    place.mkdir()
    if os.geteuid() == 0:
        return Path("/dev/full-is-no-directory")
    place.chmod(0o500)
    return place


def test_f11_pid_file_that_cannot_be_written(faulty: Any) -> None:
    """At the start one clear error and nothing half-written; at a reload a warning."""
    faulty.make(workers=1)
    place = full_disk(faulty.directory)
    faulty.running.write_configuration(pidfile=str(place / "pid"))
    faulty.running.start(wait=False)
    assert faulty.running.wait() == 1
    assert "pidfile: " in faulty.log.strip().splitlines()[-1]
    faulty.running.write_configuration(pidfile=str(faulty.directory / "pid"))
    faulty.start()
    faulty.running.write_configuration(pidfile=str(place / "pid"))
    faulty.send(signal.SIGHUP)
    faulty.settled(1, generation=2)
    faulty.logged("the old pid file stays")
    assert int((faulty.directory / "pid").read_text()) == faulty.pid


def second(faulty: Any, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Another server with these settings, to its end."""
    lines = "\n".join(f"{name} = {value!r}" for name, value in settings.items())
    (faulty.directory / "second.py").write_text(lines)
    return subprocess.run(
        [sys.executable, "-m", "hostler", "-c", str(faulty.directory / "second.py"), "app:application"],
        cwd=faulty.directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_f16_unix_socket_of_a_live_server(faulty: Any) -> None:
    """A second server takes nothing; a stale file is cleared; a file that is no socket stays."""
    faulty.make(workers=1)
    path = faulty.directory / "web"
    bind = f"unix:{path}"
    faulty.running.write_configuration(bind=bind)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    faulty.start()
    inode = path.stat().st_ino
    done = second(faulty, bind=bind)
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert path.stat().st_ino == inode
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
    assert faulty.stop() == 0
    assert not path.exists()
    path.write_text("precious")
    done = second(faulty, bind=bind)
    assert done.returncode == 1
    assert "not a socket" in done.stderr
    assert path.read_text() == "precious"


def test_f17_pid_file_of_a_stranger(faulty: Any) -> None:
    """The number of a live process that is no server of ours does not stop a start."""
    faulty.make(workers=1)
    path = faulty.directory / "pid"
    path.write_text(f"{os.getpid()}\n")
    faulty.running.write_configuration(pidfile=str(path))
    faulty.start()
    assert int(path.read_text()) == faulty.pid


def test_f22_clients_gone_in_the_upload(faulty: Any) -> None:
    """Descriptors are what they were."""
    faulty.start(workers=1)
    (worker,) = faulty.settled(1)
    faulty.running.request()
    before = len(os.listdir(f"/proc/{worker}/fd"))
    for _ in range(50):
        with socket.create_connection(faulty.running.address, 30) as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nshort")
    with socket.create_connection(faulty.running.address, 30) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
    faulty.wait_for(lambda: len(os.listdir(f"/proc/{worker}/fd")) <= before, "the descriptors of before")


def test_f32_reader_of_the_log_stops(faulty: Any) -> None:
    """A pipe that nobody reads costs lines, not requests."""
    faulty.make(workers=1, accesslog="-", loglevel="debug")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "hostler", "-c", str(faulty.running.configuration), "app:application"],
        cwd=faulty.directory,
        stdout=writing,
        stderr=writing,
        start_new_session=True,
    )
    os.close(writing)
    faulty.running.process = process
    seen = b""
    while b"ready: " not in seen:
        seen += os.read(reading, 65536)
    # Nobody reads from here on.
    faulty.running.error_log.write_bytes(seen)
    with faulty.traffic(clients=4) as traffic:
        traffic.flows(2000)
    assert not traffic.failures
    faulty.send(signal.SIGTERM)
    assert faulty.running.wait() == 0
    os.close(reading)


@pytest.mark.parametrize(
    ("variables", "bind", "text"),
    [
        ({"LISTEN_FDS": "five"}, "127.0.0.1:0", "LISTEN_FDS"),
        ({"LISTEN_FDS": "9"}, "127.0.0.1:0", "is not open"),
        ({}, "fd://77", "is no open socket"),
    ],
)
def test_f35_wrong_descriptors(faulty: Any, variables: dict[str, str], bind: str, text: str) -> None:
    """One clear error and exit code 1."""
    faulty.make(workers=1)
    (faulty.directory / "wrong.py").write_text(f"bind = {bind!r}\n")
    starter = (
        "import os, sys\n"
        f"os.environ.update({variables!r}, LISTEN_PID=str(os.getpid()))\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'hostler', '-c', 'wrong.py', 'app:application'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", starter],
        cwd=faulty.directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert text in done.stderr.strip().splitlines()[-1]
