"""Malformed packets against a live server: each ends its connection without an answer, with one line in the log."""

from __future__ import annotations

import re
import runpy
import socket
from pathlib import Path
from typing import Any

from hostler_testkit.client import until

WORKERS = ("sync", "gthread", "gevent", "asgi")
PACKETS = runpy.run_path(
    str(Path(__file__).resolve().parents[2] / "packages" / "uwsgi-proto" / "tests" / "packets.py")
)
MALFORMED: dict[str, bytes] = PACKETS["MALFORMED"]


def exchange(address: tuple[str, int], octets: bytes) -> bytes:
    """Everything that comes back; a reset is an end too, when the server did not read all that was sent."""
    received = b""
    with socket.create_connection(address, 60) as sock:
        try:
            sock.sendall(octets)
            while block := sock.recv(65536):
                received += block
        except ConnectionError:
            return received
    return received


def told(log: str) -> int:
    """Refusals that the log tells of: a line each, and of those beyond ten in a second their number."""
    lines = len(re.findall(r"refused kind=uwsgi_bad peer=", log))
    return lines + sum(map(int, re.findall(r"refused kind=uwsgi_bad suppressed=(\d+)", log)))


def test_every_malformed_packet(server: Any) -> None:
    """One after the other at one worker, which then serves as before."""
    running = server(bind="uwsgi://127.0.0.1:0")
    address = running.addresses()[0]
    sent = 0

    def send(octets: bytes) -> None:
        nonlocal sent
        assert exchange(address, octets) == b"", octets[:80]
        sent += 1

    def all_told() -> bool:
        send(
            MALFORMED["modifier"]
        )  # what was left out of the log is told with the first line of another second
        return told(running.log()) == sent

    for octets in MALFORMED.values():
        send(octets)
    until(all_told, f"a line for each of them; log:\n{running.log()}")
    answer = exchange(address, PACKETS["packet"](PATH_INFO=b"/", REQUEST_URI=b"/"))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nhello")
    assert "Traceback" not in running.log()
