"""The control socket, served from the arbiter's loop without ever waiting: one command, one answer, closed.

A line of JSON comes (`{"command": "status", "words": []}`), a line of JSON goes (`{"ok": true, "data": …}` or
`{"ok": false, "error": "…"}`). Only the server's own user and root are answered. Clients, their input and
their time are bounded, so the loop that keeps workers alive is never held up.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hostler._poll import Selector

CLIENTS = 16
INPUT = 65536
"""Octets of one command."""
PATIENCE = 5.0
"""Seconds that a client gets for its command, and again for taking the answer."""
RETRY = 2.0
"""Seconds between attempts to take a path over from the server that is about to leave it (an upgrade)."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An answer that takes time: `poll` is asked now and then until it returns something."""

    poll: Callable[[], Any]
    seconds: float = PATIENCE
    """After these the command fails."""


class Refused(Exception):
    """The command cannot be done; the text goes to the client."""


Command = Callable[[Sequence[str]], Any]
"""Words -> data for JSON, or `Pending`. Raises `Refused`."""


class ControlServer:
    """The socket and its clients. The arbiter polls `fileno()`, then calls `turn()`; also once a second."""

    def __init__(self, path: str, mode: int, commands: Mapping[str, Command], log: logging.Logger) -> None:
        self.path = path
        self._mode = mode
        self._commands = commands
        self._log = log
        self._selector = Selector()
        self._socket: socket.socket | None = None
        self._inode: tuple[int, int] | None = None
        self._clients: set[_Client] = set()
        self._next_try = 0.0
        self._told = False

    def fileno(self) -> int:
        """Readable when `turn` has something to do."""
        return self._selector.fileno()

    @property
    def busy(self) -> bool:
        """Somebody waits for an answer or is slow: call `turn` often (every 50 ms) instead of once a second."""
        return bool(self._clients)

    def open(self) -> bool:
        """Listen. False: not now, the log says why; `turn` goes on trying."""
        self._next_try = time.monotonic() + RETRY
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _make_way(self.path)
            before = os.umask(0o777 & ~self._mode)
            try:
                sock.bind(self.path)
            finally:
                os.umask(before)
            sock.setblocking(False)
            sock.listen(CLIENTS)
            found = os.lstat(self.path)
        except OSError as error:
            sock.close()
            if not self._told:
                self._told = True
                reason = error.strerror or error
                self._log.warning("control socket %r: %s; trying again", self.path, reason)
            return False
        self._inode = found.st_dev, found.st_ino
        self._socket = sock
        self._selector.register(sock, selectors.EVENT_READ)
        return True

    def turn(self) -> None:
        """Serve what is ready; never waits, never raises."""
        for key, _ in self._selector.select(0):
            if key.fileobj is self._socket:
                self._accept()
            else:
                self._step(key.data)
        now = time.monotonic()
        for client in list(self._clients):
            if client.pending is not None:
                self._ask_again(client, now)
            elif now > client.deadline:
                self._drop(client)
        if self._socket is None and now >= self._next_try:
            self.open()

    def close(self) -> None:
        """End it, and remove the file if it is ours."""
        for client in list(self._clients):
            self._drop(client)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            with suppress(OSError):
                found = os.lstat(self.path)
                if (found.st_dev, found.st_ino) == self._inode:
                    os.unlink(self.path)
        self._next_try = float("inf")
        self._selector.close()

    def abandon(self) -> None:
        """In a forked child: close the copies of the descriptors.

        The kernel's side of the selector is shared with the arbiter, so nothing may be unregistered here.
        """
        for client in self._clients:
            client.socket.close()
        if self._socket is not None:
            self._socket.close()
        self._selector.close()

    # -- clients ---------------------------------------------------------------------------------------

    def _accept(self) -> None:
        assert self._socket is not None
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            if len(self._clients) >= CLIENTS:
                sock.close()
                continue
            sock.setblocking(False)
            client = _Client(sock, time.monotonic() + PATIENCE)
            user = peer_user(sock)
            if user not in (0, os.geteuid()):
                self._log.warning("control socket: a client of user %s was refused", user)
                sock.close()
                continue
            client.user = user
            self._clients.add(client)
            self._selector.register(sock, selectors.EVENT_READ, client)

    def _step(self, client: _Client) -> None:
        try:
            if client.outgoing:
                self._send(client)
            else:
                self._read(client)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)

    def _read(self, client: _Client) -> None:
        data = client.socket.recv(INPUT)
        if not data or client.pending is not None:
            self._drop(client)
            return
        client.incoming += data
        if b"\n" in client.incoming:
            line = bytes(client.incoming.partition(b"\n")[0])
            self._answer(client, self._run(client, line))
        elif len(client.incoming) > INPUT:
            self._answer(client, {"ok": False, "error": "the command is too long"})

    def _run(self, client: _Client, line: bytes) -> Any:
        try:
            asked = json.loads(line)
            name, words = asked["command"], asked.get("words", [])
            if not isinstance(name, str) or not all(isinstance(word, str) for word in words):
                raise TypeError
        except (ValueError, TypeError, KeyError, RecursionError):
            return {"ok": False, "error": "the command is not understood"}
        command = self._commands.get(name)
        if command is None:
            known = ", ".join(sorted(self._commands))
            return {"ok": False, "error": f"there is no command {name[:40]!r}; there are {known}"}
        level = logging.DEBUG if name in QUIET else logging.INFO
        self._log.log(level, "control: %s by user %s", " ".join([name, *words])[:200], client.user)
        return self._guarded(lambda: command(words))

    def _guarded(self, call: Callable[[], Any]) -> Any:
        try:
            found = call()
        except Refused as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001 - a command must not end the arbiter
            self._log.exception("control: a command failed")
            return {"ok": False, "error": f"failed: {type(error).__name__}"}
        return found if isinstance(found, Pending) or found is None else {"ok": True, "data": found}

    def _answer(self, client: _Client, answer: Any) -> None:
        client.deadline = time.monotonic() + PATIENCE
        if isinstance(answer, Pending):
            client.pending = answer
            client.deadline = time.monotonic() + answer.seconds
            return
        if answer is None:
            answer = {"ok": True, "data": {}}
        client.pending = None
        client.outgoing = (json.dumps(answer, default=str) + "\n").encode()
        self._selector.modify(client.socket, selectors.EVENT_WRITE, client)
        self._step(client)

    def _ask_again(self, client: _Client, now: float) -> None:
        pending = client.pending
        assert pending is not None
        answer = self._guarded(pending.poll)
        if answer is None and now > client.deadline:
            answer = {"ok": False, "error": f"not done within {pending.seconds:g} s"}
        if answer is not None:
            self._answer(client, answer)

    def _send(self, client: _Client) -> None:
        sent = client.socket.send(client.outgoing)
        client.outgoing = client.outgoing[sent:]
        if not client.outgoing:
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._selector.unregister(client.socket)
            client.socket.close()


QUIET = {"status", "workers", "stacks", "service"}
"""Commands that change nothing: told of in the log at debug level only."""


class _Client:
    __slots__ = ("deadline", "incoming", "outgoing", "pending", "socket", "user")

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.socket = sock
        self.deadline = deadline
        self.incoming = bytearray()
        self.outgoing = b""
        self.pending: Pending | None = None
        self.user: int | None = None


def _make_way(path: str) -> None:
    """Remove a socket on which nobody listens. Raises `OSError` when somebody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            raise OSError("another server listens there") from None
    raise OSError("another server listens there")


def peer_user(sock: socket.socket) -> int | None:
    """The user id of the process at the other end of a Unix socket; None when the system does not tell."""
    credentials = getattr(socket, "SO_PEERCRED", None)
    if credentials is not None:  # Linux: struct ucred
        found = sock.getsockopt(socket.SOL_SOCKET, credentials, struct.calcsize("3i"))
        return int(struct.unpack("3i", found)[1])
    try:  # the BSDs: struct xucred begins with a version and the uid
        found = sock.getsockopt(0, 1, 76)
        return int(struct.unpack_from("2I", found)[1])
    except (OSError, struct.error):
        return None
