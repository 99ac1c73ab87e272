"""The socket file of the door for callers from outside the server: made, kept in its place, removed.

Whoever may open the file may call; who that is, is said by its mode and by the peer's user. A file that a dead
server left is replaced, a living one's is not. Nothing here knows what is said at the door.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import socket
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

from hostler_dirty import _line
from hostler_dirty._wire import FrameReader
from hostler_dirty.errors import DirtyConfigError, DirtyProtocolError

LONGEST = 107
"""Octets of a socket's path, as the kernel has it (`sun_path`, unix(7))."""
BACKLOG = 128
PATIENCE = 1.0
"""Seconds in which a living server greets."""


def parse(text: str) -> str:
    """The path of `unix:PATH`; "" for no door. Raises DirtyConfigError."""
    if not text:
        return ""
    scheme, colon, path = text.partition(":")
    if scheme != "unix" or not colon or not path or path.startswith("@"):
        raise DirtyConfigError(f"dirty_bind: {text!r} is not of the form unix:PATH")
    path = os.path.abspath(path.removeprefix("//"))
    if len(os.fsencode(_draft(path))) > LONGEST or len(os.fsencode(path)) > LONGEST:
        raise DirtyConfigError(f"dirty_bind: the path of a socket has at most about 100 octets: {path}")
    return path


def users(texts: Sequence[str]) -> frozenset[int]:
    """User ids of numbers and names. Raises DirtyConfigError."""
    found = set()
    for text in texts:
        try:
            found.add(int(text) if text.isdigit() else pwd.getpwnam(text).pw_uid)
        except KeyError:
            raise DirtyConfigError(f"dirty_bind_users: there is no user {text!r}") from None
    return frozenset(found)


def peer(sock: socket.socket) -> tuple[int, int]:
    """Process id and user id of the other side, as of when it connected or listened (SO_PEERCRED, unix(7))."""
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


class Front:
    """One socket file, and the socket that listens there."""

    def __init__(self, path: str, guests: frozenset[int], log: logging.Logger) -> None:
        """`guests`: users who may call besides root and the server's own."""
        self.path = path
        self.guests = guests | {0, os.getuid()}
        self._mode = 0o666 if guests - {os.getuid()} else 0o600
        self._log = log
        self._file: tuple[int, int] | None = None
        self._told = ""
        self.socket: socket.socket | None = None

    def open(self) -> None:
        """Listen. Raises DirtyConfigError, with one line that says what stands in the way."""
        try:
            self._free()
            self._make()
        except OSError as error:
            raise DirtyConfigError(f"dirty_bind: no socket at {self.path}: {error.strerror}") from None

    def is_gone(self) -> bool:
        """The file is not there, or another one is."""
        return self._file is None or self._present() != self._file

    def restore(self) -> None:
        """Make the file anew. What stands in the way is logged, once; the old socket listens no more either way."""
        self._hang_up()
        self._file = None
        try:
            self.open()
        except DirtyConfigError as error:
            if self._told != error.message:
                self._told = error.message
                self._log.warning("%s", error.message)
            return
        self._told = ""
        self._log.warning("the socket file %s had gone; it is there again", self.path)

    def close(self) -> None:
        """Listen no more, and remove the file if it is ours still."""
        if not self.is_gone():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        self._file = None
        self._hang_up()

    def _hang_up(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _present(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _free(self) -> None:
        """The path may be used: nothing is there, or what a dead server left. Raises DirtyConfigError, OSError."""
        try:
            mode = os.lstat(self.path).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise DirtyConfigError(f"dirty_bind: {self.path} exists and is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(self.path)
            except (ConnectionRefusedError, FileNotFoundError):
                return
            except BlockingIOError:
                who = "whose backlog is full"
            else:
                main = _main(probe)
                if main and main == _parent(os.getppid()):  # ours was started to replace that server (USR2)
                    return
                if main and _parent(main) == os.getppid():
                    raise DirtyConfigError(
                        f"dirty_bind: the server that replaces this one answers at {self.path} now"
                    )
                who = f"pid {peer(probe)[0]}"
        raise DirtyConfigError(
            f"dirty_bind: another process ({who}) answers at {self.path}: stop it, or give this server another path"
        )

    def _make(self) -> None:
        """Listen under another name and rename, so that the path never leads to a socket that does not answer."""
        directory = os.path.dirname(self.path)
        os.makedirs(directory, 0o700 if self._mode == 0o600 else 0o755, exist_ok=True)
        draft = _draft(self.path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)  # never open to others, not even before chmod
        try:
            sock.setblocking(False)
            sock.bind(draft)
            os.chmod(draft, self._mode)
            sock.listen(BACKLOG)
            made = os.stat(draft)
            os.rename(draft, self.path)
        except OSError:
            sock.close()
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
        finally:
            os.umask(before)
        self._hang_up()
        self.socket, self._file = sock, (made.st_dev, made.st_ino)


def _draft(path: str) -> str:
    return os.path.join(os.path.dirname(path), f".d{os.getpid()}")


def _main(sock: socket.socket) -> int:
    """The main arbiter of the server that answers; 0: it is no such server."""
    reader = FrameReader(_line.CONTROL_LIMIT)
    sock.settimeout(PATIENCE)
    try:
        while data := sock.recv(65536):
            for frame in reader.feed(data):
                greeting = _line.decode(frame.body)
                main = greeting.get("main") if isinstance(greeting, dict) else 0
                return main if isinstance(main, int) else 0
    except (OSError, DirtyProtocolError):
        return 0
    return 0


def _parent(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])
