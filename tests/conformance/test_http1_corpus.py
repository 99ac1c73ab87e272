"""The HTTP/1 corpus against live servers: every worker gives the statuses that the data files name."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from hostler_testkit import installed_workers

ROOT = Path(__file__).resolve().parents[1] / "corpus" / "http1"
WORKERS = [name for name in (*installed_workers("wsgi"), *installed_workers("asgi")) if name != "eventlet"]
CASES = sorted(ROOT.glob("*/*.raw"))


def answers(octets: bytes, methods: list[str]) -> list[int]:
    """The statuses in what a server wrote; interim ones are left out."""
    found: list[int] = []
    while octets:
        head, _, octets = octets.partition(b"\r\n\r\n")
        status = int(head[9:12])
        if status < 200:
            continue
        found.append(status)
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))
        }
        if len(found) <= len(methods) and methods[len(found) - 1] == "HEAD":
            continue
        if fields.get(b"transfer-encoding") == b"chunked":
            octets = octets.partition(b"0\r\n\r\n")[2]
        else:
            octets = octets[int(fields[b"content-length"]) :]
    return found


def exchange(
    address: tuple[str, int], octets: bytes, wanted: int, expected: dict[str, Any]
) -> tuple[bytes, bool]:
    """What comes back, and whether the server ended the connection."""
    methods = [request["method"] for request in expected["requests"]]
    with socket.create_connection(address, 30) as sock:
        received = b""
        try:
            sock.sendall(octets)
            if expected.get("truncated"):
                sock.shutdown(socket.SHUT_WR)
            while True:
                if not expected["closes"] and complete(received, methods) >= wanted:
                    return received, False
                block = sock.recv(65536)
                if not block:
                    return received, True
                received += block
        except ConnectionResetError:
            return received, True


def complete(received: bytes, methods: list[str]) -> int:
    """How many answers have come whole."""
    try:
        return len(answers(received, methods)) if received.endswith((b"\n", b"o", b"k")) else 0
    except (KeyError, ValueError, IndexError):
        return 0


@pytest.fixture
def plain(sites: Any, worker_value: Any) -> Any:
    """A server that answers 200 to whatever is complete."""
    return sites(
        application=f"plain_applications:{worker_value.interface}",
        pythonpath=str(Path(__file__).parent),
        forwarded_allow_ips="",
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(plain: Any, worker_value: Any, path: Path) -> None:
    """One connection, the octets of the case, and the statuses that come back."""
    expected = json.loads(path.with_suffix(".json").read_text())
    wanted = expected["responses"]
    asked = [*expected["requests"], *[{}] * (len(wanted) - len(expected["requests"]))]
    if worker_value.interface == "asgi":
        # An application declines a handshake with 403 (ASGI, WebSocket close before accept).
        wanted = [403 if each.get("upgrade") else status for each, status in zip(asked, wanted, strict=True)]
    received, closed = exchange(plain.address, path.read_bytes(), len(wanted), expected)
    methods = [request["method"] for request in expected["requests"]]
    assert answers(received, methods) == wanted
    assert closed is expected["closes"]
