"""Every request thread of one worker is held by the application (F-03)."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

HELD = """
import os, time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/held":
        open("held." + environ["QUERY_STRING"], "w").close()
        while not os.path.exists("gate"):
            time.sleep(0.02)
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def begin(address: tuple[str, int], target: str) -> socket.socket:
    """Send a request on a connection of its own."""
    sock = socket.create_connection(address, 60)
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return sock


def finish(sock: socket.socket) -> bytes:
    """The body of its answer."""
    with sock:
        text = b"".join(iter(lambda: sock.recv(4096), b""))
    head, _, body = text.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), text
    return body


@pytest.mark.parametrize("hostler_worker", ["gthread"], indirect=True)
def test_f03_sibling_serves(faulty: Any) -> None:
    """Three of four threads are held, so one worker has none left: the other one answers whoever comes."""
    faulty.make(workers=2, threads=2)
    faulty.write("app.py", HELD)
    faulty.start()
    pids = {str(pid).encode() for pid in faulty.settled(2)}
    address = faulty.running.address
    held = []
    for number in range(3):
        held.append(begin(address, f"/held?{number}"))
        faulty.wait_for((faulty.directory / f"held.{number}").exists, "a held request")
    time.sleep(1)  # what runs for a moment only is not taken for held; no state tells when it is
    served = {finish(begin(address, "/")) for _ in range(50)}
    assert len(served) == 1
    (faulty.directory / "gate").touch()
    assert {finish(sock) for sock in held} == pids
    assert {str(pid).encode() for pid in faulty.settled(2)} == pids
