"""How callers come in: the doorbell, the control socket for the server's own user, and the door for outsiders."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping
from os import getuid

from hostler_dirty import _front, _line, _wire
from hostler_dirty._front import Front
from hostler_dirty.errors import DirtyConnectionError, describe


class Doors:
    """The doors of the arbiter. `admit` gets each caller's socket, whether it may manage, and whether it is a guest."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: logging.Logger,
        admit: Callable[[socket.socket, bool, bool], None],
    ) -> None:
        self._loop, self._log, self._admit = loop, log, admit
        self._sockets: list[socket.socket] = []
        self._front: Front | None = None
        self._turned_away: set[int] = set()
        """Users of whom the log tells already."""

    def open(self, descriptors: Mapping[str, int]) -> None:
        """Answer the doorbell and the control socket."""
        bell, control = (socket.socket(fileno=descriptors[name]) for name in ("bell", "control"))
        self._sockets = [bell, control]
        for sock in self._sockets:
            sock.setblocking(False)
        self._loop.add_reader(bell.fileno(), self._rung, bell)
        self._loop.add_reader(control.fileno(), self._knocked, control, frozenset((0, getuid())))

    def open_front(self, front: Front) -> None:
        """Answer the door for outsiders too, which is open already."""
        self._front = front
        self._listen(front)

    def keep_front(self) -> None:
        """Now and then: see that the socket file of the outsiders' door is in its place."""
        front = self._front
        if front is None:
            return
        old = -1 if front.socket is None else front.socket.fileno()
        if front.is_gone():
            if old >= 0:
                self._loop.remove_reader(old)
            front.restore()
            self._listen(front)

    def _listen(self, front: Front) -> None:
        if front.socket is not None:
            self._loop.add_reader(front.socket.fileno(), self._knocked, front.socket, front.guests)

    def close(self) -> None:
        """Answer no more; the sockets but the outsiders' are the main arbiter's."""
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())
            sock.detach()
        self.close_front()

    def close_front(self) -> None:
        """Nobody comes in from outside any more."""
        front, self._front = self._front, None
        if front is not None:
            if front.socket is not None:
                self._loop.remove_reader(front.socket.fileno())
            front.close()

    def _rung(self, bell: socket.socket) -> None:
        for _ in range(64):
            try:
                data, fds = _line.receive_with(bell, 256)
            except OSError:
                return  # nobody rings (any more)
            if not data:
                return
            for fd in fds:
                self._admit(socket.socket(fileno=fd), False, False)

    def _knocked(self, door: socket.socket, users: frozenset[int]) -> None:
        """Somebody is at the control socket, or at the outsiders' door."""
        guest = door not in self._sockets
        name = "door for outsiders" if guest else "control socket"
        try:
            sock, _ = door.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            # No descriptor is left. The caller stays in the backlog; to look at it all the time would help nobody.
            self._log.warning("a caller at the dirty %s has to wait: %s", name, error)
            self._loop.remove_reader(door.fileno())
            self._loop.call_later(1.0, self._again, door, users)
            return
        uid = _front.peer(sock)[1] if hasattr(socket, "SO_PEERCRED") else getuid()
        if uid not in users:
            self._turn_away(sock, uid, name)
            return
        self._admit(sock, not guest, guest)

    def _turn_away(self, sock: socket.socket, uid: int, name: str) -> None:
        if uid not in self._turned_away:
            self._turned_away.add(uid)
            self._log.warning("a user without the right to it (uid %d) knocked at the dirty %s", uid, name)
        error = DirtyConnectionError(f"The user {uid} may not call here (dirty_bind_users)")
        with sock, contextlib.suppress(OSError):
            sock.setblocking(False)
            sock.send(_wire.pack(_wire.REJECT, 0, _line.encode(describe(error))))

    def _again(self, door: socket.socket, users: frozenset[int]) -> None:
        if door.fileno() >= 0:  # an outsiders' door may have been closed meanwhile
            self._loop.add_reader(door.fileno(), self._knocked, door, users)
