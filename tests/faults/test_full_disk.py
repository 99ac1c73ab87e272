"""A file system that is full, a real one: a tmpfs of 64 KiB in a name space of its own."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PATIENCE = 60.0
MAKE = 'mount -t tmpfs -o size=64k none "$0" && { head -c 1000000 /dev/zero >"$0/fill" 2>/dev/null; true; }'
APPLICATION = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]
"""


def can_mount() -> bool:
    """Whether this machine lets a process have a name space for mounts."""
    try:
        command = ["unshare", "-rm", "sh", "-c", MAKE, "/mnt"]
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not can_mount(), reason="no name space for mounts is to be had")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the file system will be."""
    (tmp_path / "application.py").write_text(APPLICATION)
    full = tmp_path / "full"
    full.mkdir()
    return full


def server(*arguments: str) -> list[str]:
    """The command of a server."""
    return [sys.executable, "-m", "hostler", "--bind", "127.0.0.1:0", *arguments, "application:app"]


def test_pid_file_without_room(place: Path) -> None:
    """One clear line, exit 1, and nothing half-written is left."""
    script = MAKE + '; full="$0"; "$@"; code=$?; ls "$full"; exit $code'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, str(place), *server("--pid", str(place / "pid"))],
        cwd=place.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "pidfile: " in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout.split() == ["fill"]


def test_logs_without_room(place: Path) -> None:
    """Requests are served, whatever becomes of their lines, and the stop is clean."""
    logs = ("--access-logfile", str(place / "access"), "--control-socket", str(place.parent / "control"))
    ready = place.parent / "error"
    with ready.open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", MAKE + '; exec "$@"', str(place), *server(*logs)],
            cwd=place.parent,
            stderr=log,
        )
    try:
        end = time.monotonic() + PATIENCE
        while " ready: " not in ready.read_text() and time.monotonic() < end:
            assert process.poll() is None, ready.read_text()
            time.sleep(0.02)
        found = re.search(r"listening at http://127\.0\.0\.1:(\d+)", ready.read_text())
        assert found is not None
        for _ in range(50):
            peer = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=PATIENCE)
            peer.request("GET", "/")
            assert peer.getresponse().read() == b"served"
            peer.close()
    finally:
        os.kill(process.pid, signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
