"""A raw client: octets out, answers in, over a socket that the test holds in its hand.

Answers are read by h11, which refuses bad framing; what a test sends is up to the test. Nothing here
retries or hides how the peer behaved.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import h11

PATIENCE = 30.0
"""Seconds until a wait is given up; generous, since a slow machine is no failure."""

T = TypeVar("T")


class NoAnswer(AssertionError):
    """The peer closed the connection without a (complete) answer; `received` is what came before."""

    def __init__(self, message: str, received: bytes) -> None:
        super().__init__(f"{message}; received {received[:200]!r}")
        self.received = received


@dataclass(frozen=True)
class Answer:
    """One response as it came over the wire."""

    status: int
    reason: bytes
    version: bytes
    headers: list[tuple[bytes, bytes]]
    """Names are lower-case."""
    body: bytes
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    interim: list[tuple[int, list[tuple[bytes, bytes]]]] = field(default_factory=list)
    """Status and fields of each 1xx before it."""

    def all(self, name: str) -> list[bytes]:
        """Every value of a field."""
        return [value for key, value in self.headers if key == name.lower().encode()]

    def get(self, name: str) -> bytes | None:
        """The value of a field that must not be repeated."""
        values = self.all(name)
        assert len(values) < 2, f"{name} is repeated: {values}"
        return values[0] if values else None

    @property
    def closing(self) -> bool:
        """The answer says that its connection ends."""
        words = b",".join(self.all("connection")).lower().replace(b" ", b"").split(b",")
        return b"close" in words or (self.version == b"1.0" and b"keep-alive" not in words)


class Peer:
    """One connection to a server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self._kept = b""
        self.ended = False
        """The server has finished sending."""
        self.reset = False
        """… by a reset."""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Write all of it."""
        self.sock.sendall(data)

    def send_while_open(self, data: bytes) -> bool:
        """Write all of it if the server still takes it."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            return False
        return True

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self.sock.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes:
        """The next octets; empty at the end, however it came."""
        if self._kept:
            kept, self._kept = self._kept, b""
            return kept
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            self.reset = True
            data = b""
        if not data:
            self.ended = True
        return data

    def rest(self) -> bytes:
        """Everything until the server closes."""
        return b"".join(iter(self.receive, b""))

    def answer(self, method: str = "GET") -> Answer:
        """Read one answer to a request with this method."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
        parser.send(h11.EndOfMessage())
        seen = b""
        interim: list[tuple[int, list[tuple[bytes, bytes]]]] = []
        final: h11.Response | None = None
        body: list[bytes] = []
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError as error:
                raise NoAnswer(f"not an answer: {error}", seen) from None
            if event is h11.NEED_DATA:
                data = self.receive()
                seen += data[: max(0, 4096 - len(seen))]
                parser.receive_data(data)
            elif isinstance(event, h11.InformationalResponse):
                interim.append((event.status_code, list(event.headers)))
            elif isinstance(event, h11.Response):
                final = event
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and final is not None:
                self._kept = bytes(parser.trailing_data[0])
                return Answer(
                    final.status_code,
                    bytes(final.reason),
                    bytes(final.http_version),
                    list(final.headers),
                    b"".join(body),
                    list(event.headers),
                    interim,
                )
            else:
                raise NoAnswer("the server closed the connection", seen)

    def request(
        self,
        method: str = "GET",
        target: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        version: str = "1.1",
    ) -> Answer:
        """Send a request with a Host field (and Content-Length with a body) and read its answer."""
        self.send(message(method, target, headers, body, version))
        return self.answer(method)

    def close(self) -> None:
        """Close our side; what the server still sends is lost."""
        self.sock.close()


def message(
    method: str = "GET",
    target: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    version: str = "1.1",
) -> bytes:
    """The octets of a request."""
    lines = [f"{method} {target} HTTP/{version}", "Host: testkit.example"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None and not any(name.lower() == "transfer-encoding" for name, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def until(reached: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Ask again and again until the answer is true; an AssertionError says what never came."""
    end = time.monotonic() + patience
    while True:
        value = reached()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience:g} s: {what}")
        time.sleep(0.01)
