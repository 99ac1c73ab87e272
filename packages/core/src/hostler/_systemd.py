"""What systemd passes in and wants to hear: sockets (sd_listen_fds(3)), states and watchdog (sd_notify(3)).

The protocols are a few variables and datagrams, so no library is needed. Nothing here fails a server: a
notification that cannot be sent is dropped.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping

from hostler._listeners import Inherited
from hostler.errors import ListenError

FIRST = 3
"""SD_LISTEN_FDS_START."""


def listen_fds(environ: MutableMapping[str, str]) -> list[Inherited]:
    """The sockets that were passed to this very process; the variables are removed, so that no child sees them.

    Raises `ListenError` for variables that make no sense.
    """
    pid, count = environ.pop("LISTEN_PID", None), environ.pop("LISTEN_FDS", None)
    names = environ.pop("LISTEN_FDNAMES", "")
    if pid is None or count is None or pid != str(os.getpid()):
        return []
    if not count.isdecimal() or int(count) > 1024:
        raise ListenError(f"LISTEN_FDS: {count!r} is not a number of descriptors")
    labels = names.split(":") if names else []
    found = []
    for index in range(int(count)):
        descriptor = FIRST + index
        try:
            os.set_inheritable(descriptor, False)
        except OSError as error:
            raise ListenError(f"LISTEN_FDS: descriptor {descriptor} is not open ({error.strerror})") from None
        found.append(Inherited(descriptor, labels[index] if index < len(labels) else ""))
    return found


class Notifier:
    """Talks to the service manager; does nothing without one."""

    __slots__ = ("_pid", "address", "interval", "next_at")

    def __init__(self, environ: MutableMapping[str, str], *, keep: bool = False) -> None:
        self.address = environ.get("NOTIFY_SOCKET", "")
        usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        mine = not pid or pid == str(os.getpid()) or keep
        self.interval = int(usec) / 2e6 if usec.isdecimal() and int(usec) and mine and self.address else 0.0
        """Seconds between two signs of life; 0: none are wanted."""
        self.next_at = 0.0
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            environ.pop(name, None)

    def environment(self) -> dict[str, str]:
        """The variables, for the arbiter that replaces this one."""
        found = {"NOTIFY_SOCKET": self.address} if self.address else {}
        if self.interval:
            found["WATCHDOG_USEC"] = str(int(self.interval * 2e6))
        return found

    def send(self, *assignments: str) -> None:
        """One datagram, such as `READY=1`, `STATUS=…`."""
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(assignments).encode(), address)

    def reloading(self) -> None:
        """A reload began (the clock is what Type=notify-reload wants)."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def beat(self, now: float) -> None:
        """The sign of life, when it is due."""
        if self.interval and now >= self.next_at:
            self.next_at = now + self.interval
            self.send("WATCHDOG=1")
