"""Logs, through the command line: readers that stop, full disks, rotation, and what clients try to write."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hostler_testkit.client import Peer, until

WORKERS = ("sync",)


def test_a_reader_that_stops_stops_nobody(server: Any, hostler_directory: Path) -> None:
    """F-32: both logs go to a pipe that nobody reads."""
    import socket

    path = str(hostler_directory / "unread")
    made = server.make(bind=f"unix:{path}", workers=1, accesslog="-")
    reading, writing = os.pipe()
    process = made.process = subprocess.Popen(
        made._command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, cwd=made.directory,
        env=made._environment, start_new_session=True,
    )  # fmt: skip
    os.close(writing)
    until(lambda: os.path.exists(path), "the socket")
    until(made.booted, "the application")
    for _ in range(20):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30)
        sock.connect(path)
        with Peer(sock) as peer:
            # 64 KiB of log lines fill a pipe; each of these requests has more than a kibibyte.
            for _ in range(20):
                answer = peer.request(headers=[("User-Agent", "x" * 1000), ("Referer", "y" * 1000)])
                assert answer.status == 200
    made.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    taken = b""
    while select.select([reading], [], [], 0.2)[0]:
        block = os.read(reading, 65536)
        if not block:
            break
        taken += block
    os.close(reading)
    assert 0 < taken.count(b"GET / HTTP/1.1") < 400


def test_a_full_disk_costs_log_lines_only(server: Any) -> None:
    """F-10: /dev/full refuses every write as a full disk does."""
    found = server(accesslog="/dev/full")
    for _ in range(5):
        assert found.request().status == 200
    until(lambda: "'/dev/full'" in found.log() or "/dev/full cannot be written" in found.log(), "the notice")
    assert found.request().status == 200
    assert found.log().count("/dev/full cannot be written") == 1


def test_rotation(server: Any) -> None:
    found = server(accesslog=True, workers=2)
    for _ in range(4):
        assert found.request().status == 200
    until(lambda: len(found.access()) == 4, "four lines")
    moved = found.access_log.with_suffix(".1")
    found.access_log.rename(moved)
    found.send_signal(signal.SIGUSR1)

    def written_anew() -> bool:
        found.request()
        return len(found.access()) > 0

    until(written_anew, "lines in the new file")


HOSTILE = b'evil" 200 5 "\\ \x9b31m\xe9\t'


@pytest.mark.parametrize("as_json", [False, True])
def test_what_a_client_sends_is_one_line(server: Any, as_json: bool) -> None:
    found = server(accesslog=True, access_log_json=as_json)
    with found.connect() as peer:
        peer.send(
            b"GET /%0d%0a HTTP/1.1\r\nHost: a\r\nUser-Agent: " + HOSTILE + b"\r\nConnection: close\r\n\r\n"
        )
        peer.rest()
    until(lambda: found.access(), "the line")
    (line,) = found.access()
    assert line.isprintable()
    if as_json:
        assert json.loads(line)["user_agent"] == HOSTILE.decode("latin-1").strip()
    else:
        assert line.endswith('"evil\\x22 200 5 \\x22\\x5C \\x9B31mé"')
        assert '"GET /%0d%0a HTTP/1.1"' in line


def test_a_bad_logging_configuration_at_reload_keeps_the_old_one(server: Any) -> None:
    found = server(accesslog=True)
    found.write_configuration(logconfig="/no/such/file")
    found.send_signal(signal.SIGHUP)
    until(lambda: "/no/such/file" in found.log(), "the refusal")
    assert found.request().status == 200
    until(found.access, "a line of the old configuration")


def test_failed_reloads_leave_descriptors_flat(server: Any) -> None:
    found = server.make("breaking:app")
    (found.directory / "breaking.py").write_text("from hostler_testkit.applications.wsgi import app\n")
    found.write_configuration(accesslog=str(found.access_log), errorlog=str(found.directory / "own.log"))
    own = found.directory / "own.log"
    found.start(wait=False)
    until(lambda: own.exists() and "ready: 1 worker" in own.read_text(), "the server")
    before = len(os.listdir(f"/proc/{found.pid}/fd"))
    (found.directory / "breaking.py").write_text("raise ValueError\n")
    for number in range(1, 6):
        found.send_signal(signal.SIGHUP)
        until(lambda number=number: own.read_text().count("reload failed") == number, f"failure {number}")
    until(lambda: len(os.listdir(f"/proc/{found.pid}/fd")) == before, "as many descriptors as before")


def test_a_configuration_written_for_gunicorn(server: Any) -> None:
    found = server.make()
    target = found.directory / "own.log"
    configuration = {
        "version": 1,
        "formatters": {"own": {"format": "%(name)s|%(message)s"}},
        "handlers": {"own": {"class": "logging.FileHandler", "filename": str(target), "formatter": "own"}},
        "loggers": {
            "gunicorn.error": {"level": "INFO", "handlers": ["own"], "propagate": False},
            "gunicorn.access": {"level": "INFO", "handlers": ["own"], "propagate": False},
        },
    }
    found.write_configuration(logconfig_dict=configuration, bind=f"unix:{found.directory}/s")
    found.start(wait=False)
    until(lambda: target.exists() and "ready" in target.read_text(), "the log")
    with found.connect(f"{found.directory}/s") as peer:
        assert peer.request().status == 200
    until(lambda: "hostler.access|" in target.read_text(), "the access line")
    assert found.log() == ""


def test_printed_lines_are_captured(server: Any) -> None:
    code = "def app(environ, start):\n    print('printed')\n    start('200 OK', [])\n    return []\n"
    found = server.make("printing:app", capture_output=True)
    target = found.directory / "captured.log"
    (found.directory / "printing.py").write_text(code)
    found.write_configuration(errorlog=str(target), bind=f"unix:{found.directory}/s")
    found.start(wait=False)
    until(lambda: target.exists() and "ready" in target.read_text(), "the log")
    with found.connect(f"{found.directory}/s") as peer:
        assert peer.request().status == 200
    found.send_signal(signal.SIGTERM)
    assert found.wait() == 0
    assert "printed" in target.read_text().splitlines()
