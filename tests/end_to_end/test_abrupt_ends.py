"""Ten thousand clients that leave in the middle of something: nothing of them stays in the worker."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostler_testkit.client import until

WORKERS = ("asgi",)

APPLICATION = """
import os

async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        if scope["path"] == "/stream":
            while True:
                await send({"type": "websocket.send", "bytes": bytes(1000)})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    if scope["type"] != "http":
        return
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
    if scope["path"] == "/wait":
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": bytes(1000), "more_body": True})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""

UPGRADE = (
    b"Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SOCKET = b"GET /socket HTTP/1.1\r\n" + UPGRADE
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
STEPS: list[tuple[bytes, bytes, bytes]] = [
    # What is said, what is waited for, what is said then.
    (b"", b"", b""),
    (b"GET / HTTP/1.1\r\nHo", b"", b""),
    (POST + b"Content-Length: 9\r\n\r\nab", b"", b""),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"", b""),
    (POST + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", b" 100 ", b""),
    (b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", b"", b""),
    (b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n\r\n", b""),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + b"GE", b" 200 ", b""),
    (SOCKET[:-2], b"", b""),
    (SOCKET, b"", b""),
    (SOCKET, b"\r\n\r\n", b""),
    (SOCKET, b"\r\n\r\n", b"\x81\x85\1\2\3\4a"),
    (SOCKET, b"\r\n\r\n", b"\x01\x81\1\2\3\4a\x80\x82\1\2"),
    (SOCKET, b"\r\n\r\n", b"\x88\x80\1\2\3\4"),
    (b"GET /stream HTTP/1.1\r\n" + UPGRADE, b"\0" * 100, b""),
    (b"no request\r\n\r\n", b"", b""),
]
RESET = struct.pack("ii", 1, 0)


def leave(address: tuple[str, int], step: tuple[bytes, bytes, bytes], *, reset: bool) -> None:
    """Go so far, then away: with a reset, or with an end, which may be that of one half only."""
    say, hear, then = step
    with socket.create_connection(address, timeout=60) as client:
        client.sendall(say)
        seen = b""
        while hear not in seen:
            block = client.recv(4096)
            assert block, (step, seen)
            seen += block
        client.sendall(then)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def memory(pid: int) -> int:
    """Octets in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def ask(address: tuple[str, int]) -> int:
    """A whole request; the worker's pid."""
    with socket.create_connection(address, timeout=60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        text = b""
        while block := client.recv(4096):
            text += block
    assert text.startswith(b"HTTP/1.1 200 "), text
    return int(text.partition(b"\r\n\r\n")[2])


@pytest.mark.load
def test_ten_thousand_abrupt_ends(server: Callable[..., Any], tmp_path: Path) -> None:
    """The same worker, its descriptors as before, and no more memory than the allocator keeps."""
    (tmp_path / "abrupt.py").write_text(APPLICATION)
    address = server("abrupt:app", chdir=str(tmp_path), worker="asgi").address
    pid = ask(address)

    def open_files() -> int:
        return len(os.listdir(f"/proc/{pid}/fd"))

    until(lambda: ask(address) == pid, "a second request")
    files = open_files()

    def come_and_go(count: int) -> int:
        for number in range(count):
            step = STEPS[number % len(STEPS)]
            leave(address, step, reset=number // len(STEPS) % 2 == 0)
        until(lambda: open_files() <= files, "the descriptors of all who left")
        assert ask(address) == pid
        return memory(pid)

    before = come_and_go(2000)
    after = come_and_go(10000)
    assert after - before < 8 << 20
