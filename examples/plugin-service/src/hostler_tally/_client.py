"""The application's side: one datagram asks, one answers."""

from __future__ import annotations

import os
import socket
import tempfile

PATH: list[str] = []
"""Where the service listens; filled in each worker, before the application is loaded."""


def count(name: str, timeout: float = 5.0) -> int:
    """Add one to a counter and return it. Raises `OSError` when the service does not answer in time."""
    if not PATH:
        raise RuntimeError("count() works in a worker of a hostler server that runs the service tally")
    with (
        tempfile.TemporaryDirectory(prefix="tally-") as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
    ):
        # An address of our own, so that the service can answer.
        sock.bind(os.path.join(directory, "reply"))
        sock.settimeout(timeout)
        sock.sendto(name.encode(), PATH[0])
        answer = sock.recv(64)
    if not answer.isdigit():
        raise LookupError(f"there is no counter {name!r}")
    return int(answer)
