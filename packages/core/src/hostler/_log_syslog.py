"""Lines to syslog (RFC 3164 over UDP, TCP or a Unix socket), never waited for.

The standard library's handler waits for a TCP or Unix peer and prints a traceback when it cannot send;
this one drops, counts, and tries to connect again later.
"""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress

from hostler.errors import ConfigError

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "security", "console", "solaris-cron", "local0", "local1", "local2", "local3", "local4", "local5",
    "local6", "local7",
)  # fmt: skip
"""In the order of their numbers (RFC 5424 section 6.2.1)."""
RETRY = 5.0
"""Seconds between two attempts to reach a stream peer that is gone."""
MOST = 8192
"""Octets of one datagram."""


def parse_address(text: str) -> tuple[str, object]:
    """`udp://host:port`, `tcp://host:port`, `unix://path[#dgram|#stream]` -> kind and address."""
    scheme, found, rest = text.partition("://")
    if not found or scheme not in ("udp", "tcp", "unix"):
        raise ConfigError(f"syslog_addr: {text!r} must be udp://HOST:PORT, tcp://HOST:PORT or unix://PATH")
    if scheme == "unix":
        path, _, kind = rest.partition("#")
        if kind not in ("", "dgram", "stream") or not path:
            raise ConfigError(f"syslog_addr: {text!r} must end with a path, #dgram or #stream")
        return f"unix-{kind or 'dgram'}", path
    host, _, port = rest.rpartition(":") if rest.rpartition(":")[2].isdigit() else (rest, "", "514")
    return scheme, (host.strip("[]"), int(port))


class SyslogHandler(logging.Handler):
    """One connection to syslog for one log."""

    def __init__(self, address: str, facility: str, prefix: str) -> None:
        super().__init__()
        self._kind, self._address = parse_address(address)
        name = facility.lower().removeprefix("log_")
        if name not in FACILITIES:
            raise ConfigError(f"syslog_facility: {facility!r} must be one of {', '.join(FACILITIES)}")
        self._facility = FACILITIES.index(name) * 8
        self._prefix = prefix
        self._socket: socket.socket | None = None
        self._next_try = 0.0
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - a record of the application that does not fit its own format
            self.handleError(record)
            return
        self.send(record.levelno, f"[{record.process}] {text}")

    def send(self, level: int, text: str) -> None:
        """One line, or a dropped one."""
        line = f"<{self._facility + _severity(level)}>{self._prefix}: {text}".encode(
            errors="backslashreplace"
        )
        line = line[:MOST].replace(b"\n", b"\\n")
        stream = self._kind in ("tcp", "unix-stream")
        try:
            sock = self._connected()
            if sock is None:
                self.dropped += 1
            elif sock.send(line + b"\n" if stream else line) != len(line) + stream:
                # A line that was cut would join the next one: begin anew.
                self._disconnect()
                self.dropped += 1
        except BlockingIOError:
            self.dropped += 1
        except OSError:
            self.dropped += 1
            self._disconnect()

    def _connected(self) -> socket.socket | None:
        if self._socket is not None:
            return self._socket
        now = time.monotonic()
        if now < self._next_try:
            return None
        self._next_try = now + RETRY
        if self._kind.startswith("unix"):
            kind = socket.SOCK_DGRAM if self._kind == "unix-dgram" else socket.SOCK_STREAM
            family, address = socket.AF_UNIX, self._address
        else:
            kind = socket.SOCK_DGRAM if self._kind == "udp" else socket.SOCK_STREAM
            host, port = self._address  # type: ignore[misc]
            family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]  # type: ignore[has-type]
        sock = socket.socket(family, kind)
        try:
            sock.settimeout(1.0)
            sock.connect(address)  # type: ignore[arg-type]
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        self._socket = sock
        return sock

    def _disconnect(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None

    def close(self) -> None:
        self._disconnect()
        super().close()


def _severity(level: int) -> int:
    for least, severity in ((50, 2), (40, 3), (30, 4), (20, 6)):
        if level >= least:
            return severity
    return 7
