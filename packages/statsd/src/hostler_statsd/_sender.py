"""Lines of statsd, several to a datagram; what cannot be sent at once is lost, never waited for.

Knows the wire (https://github.com/statsd/statsd/blob/master/docs/metric_types.md) and a socket; refuses to
know what is measured.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress

from hostler_statsd import Target

MOST = 1432
"""Octets of a datagram: what fits an Ethernet frame with IPv6 and UDP heads."""
RETRY = 5.0
"""Seconds between two looks at where the host is, when it could not be found."""

TYPES = {"gauge": "g", "counter": "c", "timer": "ms", "histogram": "h"}


class Sender:
    """One datagram socket, opened with the first metric so that each process has its own."""

    def __init__(self, target: Target, prefix: str = "", tags: str = "") -> None:
        self._target = target
        self._prefix = f"{prefix.rstrip('.')}." if prefix else ""
        self._tags = f"|#{tags}" if tags else ""
        self._socket: socket.socket | None = None
        self._next_try = 0.0
        self.lost = 0
        """Datagrams that were not taken."""

    def line(self, name: str, value: float, kind: str) -> bytes:
        """One metric as it is sent."""
        number = f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        return f"{self._prefix}{name}:{number}|{TYPES[kind]}{self._tags}".encode(errors="replace")

    def send(self, lines: list[bytes]) -> None:
        """Send metrics in as few datagrams as they fit."""
        datagram = bytearray()
        for line in lines:
            if datagram and len(datagram) + 1 + len(line) > MOST:
                self._put(bytes(datagram))
                datagram.clear()
            if datagram:
                datagram += b"\n"
            datagram += line
        if datagram:
            self._put(bytes(datagram))

    def _put(self, datagram: bytes) -> None:
        try:
            sock = self._opened()
            if sock is None:
                self.lost += 1
            else:
                sock.send(datagram)
        except (BlockingIOError, ConnectionRefusedError):
            # Nobody listens at the moment: an earlier datagram was refused, and this one is not sent.
            self.lost += 1
        except OSError:
            self.lost += 1
            self.close()

    def _opened(self) -> socket.socket | None:
        if self._socket is not None:
            return self._socket
        now = time.monotonic()
        if now < self._next_try:
            return None
        self._next_try = now + RETRY
        if isinstance(self._target, str):
            family, address = socket.AF_UNIX, self._target
        else:
            # The family is the address's: a host may have IPv6 only.
            found = socket.getaddrinfo(*self._target, type=socket.SOCK_DGRAM)[0]
            family, address = found[0], found[4]  # type: ignore[assignment]
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        self._socket = sock
        return sock

    def close(self) -> None:
        """Give the socket back; the next metric opens another."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None
