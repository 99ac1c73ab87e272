"""The standard logger with a count kept of what goes through it, under gunicorn's metric names."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from typing import Any

from hostler.plugin import AccessLine, Logger, open_std_logger
from hostler.settings import Settings

from hostler_statsd import StatsdSettings
from hostler_statsd._sender import TYPES, Sender

INTERVAL = 0.1
"""Seconds that figures are collected for one datagram under load."""
FULL = 256
"""Requests that are collected at most."""


def open_statsd(settings: Settings, own: StatsdSettings) -> StatsdLogger:
    """The logger `statsd`. Raises `ConfigError` as the standard logger does."""
    return StatsdLogger(open_std_logger(settings), own)


class StatsdLogger:
    """Implements the contract `Logger` around the standard one."""

    def __init__(self, inner: Logger, own: StatsdSettings) -> None:
        self._inner = inner
        self._own = own
        self._sender = None if own.host is None else Sender(own.host, own.prefix, own.tags)
        self._pid = os.getpid()
        self._lines: list[bytes] = []
        self._requests: list[tuple[int, float]] = []
        self._lock = threading.Lock()
        self._sent = 0.0
        self._log_lines = inner.access_wanted
        self.error = inner.error
        self._tap = _Tap(self)
        for log in (self.error, logging.getLogger("gunicorn.error")):
            for one in list(log.filters):
                # Of the configuration before this one.
                if isinstance(one, _Tap):
                    log.removeFilter(one)
            log.addFilter(self._tap)
        self.access_wanted = self._log_lines or self._sender is not None

    # -- the contract ----------------------------------------------------------------------------------

    def access(self, line: AccessLine) -> None:
        if self._log_lines:
            self._inner.access(line)
        self._requests.append((line.status, line.seconds))
        if len(self._requests) >= FULL:
            self._send()

    def flush(self) -> None:
        self._inner.flush()
        if (self._requests or self._lines) and time.monotonic() - self._sent >= INTERVAL:
            self._send()

    def reopen(self) -> None:
        self._inner.reopen()

    def refused(self, kind: str, peer: Any, detail: str = "") -> None:
        self._inner.refused(kind, peer, detail)

    def measure(self, name: str, value: float, kind: str = "gauge") -> None:
        if self._sender is None or (name.endswith("backlog") and not self._own.backlog):
            return
        name = name if name.startswith(("gunicorn.", "hostler.")) else f"gunicorn.{name}"
        self.send(name, value, kind)

    def close(self) -> None:
        self._send()
        self._inner.close()
        if self._sender is not None:
            self._sender.close()

    # -- figures ---------------------------------------------------------------------------------------

    def send(self, name: str, value: float, kind: str) -> None:
        """Send one figure at once: they are rare, and its process may have no loop that flushes."""
        if self._sender is not None:
            self._lines.append(self._sender.line(name, value, kind))
            self._send()

    def _send(self) -> None:
        sender = self._sender
        if sender is None:
            self._requests.clear()
            return
        with self._lock:
            if os.getpid() != self._pid:
                # After a fork: the parent's socket is the parent's.
                self._pid = os.getpid()
                sender.close()
            requests, lines = self._taken()
            self._sent = time.monotonic()
            if requests:
                lines += [
                    sender.line("gunicorn.request.duration", took * 1000, "timer") for _, took in requests
                ]
                lines.append(sender.line("gunicorn.requests", len(requests), "counter"))
                for status, count in Counter(status for status, _ in requests).items():
                    lines.append(sender.line(f"gunicorn.request.status.{status}", count, "counter"))
            sender.send(lines)

    def _taken(self) -> tuple[list[tuple[int, float]], list[bytes]]:
        """Everything collected; threads may go on adding meanwhile."""
        requests = self._requests[: len(self._requests)]
        del self._requests[: len(requests)]
        lines = self._lines[: len(self._lines)]
        del self._lines[: len(lines)]
        return requests, lines


class _Tap(logging.Filter):
    """Sees every record of the error log: counts it, and sends the metric that it carries.

    An application can send its own, as with gunicorn: `extra={"metric": name, "value": 3, "mtype": "gauge"}`.
    """

    def __init__(self, owner: StatsdLogger) -> None:
        super().__init__()
        self._owner = owner

    def filter(self, record: logging.LogRecord) -> bool:
        owner = self._owner
        name = getattr(record, "metric", None)
        if isinstance(name, str):
            kind, value = getattr(record, "mtype", "gauge"), getattr(record, "value", None)
            if kind in TYPES and isinstance(value, (int, float)):
                owner.send(name, value, kind)
            # A record without text only carries its metric.
            if not record.msg:
                return False
        if record.levelno >= logging.WARNING:
            owner.send(f"gunicorn.log.{_word(record)}", 1, "counter")
        return True


def _word(record: logging.LogRecord) -> str:
    if record.levelno >= logging.CRITICAL:
        return "critical"
    if record.levelno >= logging.ERROR:
        return "exception" if record.exc_info else "error"
    return "warning"
