"""How callers come in: the doorbell, and the control socket for the server's own user. Nothing else is open."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Mapping
from os import getuid

from hostler_dirty import _line


class Doors:
    """Both doors of the arbiter. `admit` gets each caller's socket, and whether the caller may manage."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: logging.Logger,
        admit: Callable[[socket.socket, bool], None],
    ) -> None:
        self._loop, self._log, self._admit = loop, log, admit
        self._sockets: list[socket.socket] = []

    def open(self, descriptors: Mapping[str, int]) -> None:
        """Answer the doorbell and the control socket."""
        bell, control = (socket.socket(fileno=descriptors[name]) for name in ("bell", "control"))
        self._sockets = [bell, control]
        for sock in self._sockets:
            sock.setblocking(False)
        self._loop.add_reader(bell.fileno(), self._rung, bell)
        self._loop.add_reader(control.fileno(), self._knocked, control)

    def close(self) -> None:
        """Answer no more; the sockets themselves are the main arbiter's."""
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())
            sock.detach()

    def _rung(self, bell: socket.socket) -> None:
        for _ in range(64):
            try:
                data, fds = _line.receive_with(bell, 256)
            except OSError:
                return  # nobody rings (any more)
            if not data:
                return
            for fd in fds:
                self._admit(socket.socket(fileno=fd), False)

    def _knocked(self, control: socket.socket) -> None:
        try:
            sock, _ = control.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            # No descriptor is left. The caller stays in the backlog; to look at it all the time would help nobody.
            self._log.warning("a caller at the dirty control socket has to wait: %s", error)
            self._loop.remove_reader(control.fileno())
            self._loop.call_later(1.0, self._loop.add_reader, control.fileno(), self._knocked, control)
            return
        uid = getuid()
        if hasattr(socket, "SO_PEERCRED"):
            uid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        if uid not in (0, getuid()):
            self._log.warning(
                "a user without the right to it (uid %d) knocked at the dirty control socket", uid
            )
            sock.close()
            return
        self._admit(sock, True)
