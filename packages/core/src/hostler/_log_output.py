"""Where log lines go: a file or an inherited descriptor that is never waited for without bound.

A reader that stops or a full disk costs lines, which are counted and told of once; it never stops the
server. Knows descriptors only; refuses to know what a line means.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from contextlib import suppress

# Taken before any monkey-patching, so that a wait here never enters an event loop.
from os import write as _write
from select import POLLOUT

from hostler._poll import system_poll

PATIENCE = 1.0
"""Seconds that a full pipe is waited for, once; until it takes bytes again lines are dropped at once."""
PIECE = 4096
"""Octets that a pipe reported as writable takes without waiting (PIPE_BUF of Linux)."""
STANDARD = {"stdout": 1, "stderr": 2}
_STANDARD_PATHS = {
    "/dev/stdout": "stdout",
    "/dev/fd/1": "stdout",
    "/proc/self/fd/1": "stdout",
    "/dev/stderr": "stderr",
    "/dev/fd/2": "stderr",
    "/proc/self/fd/2": "stderr",
}
"""Other names of the standard streams. Opening them anew fails for sockets (a unit's journal) and for users
that do not own them (a container)."""


class Output:
    """One destination of lines. `write` never raises and never waits longer than `PATIENCE`."""

    def __init__(
        self, target: str, *, standard: str = "stderr", owner: tuple[int, int] | None = None
    ) -> None:
        """`target`: a path, or `-` for the `standard` stream. Raises `OSError` when it cannot be opened."""
        standard = _STANDARD_PATHS.get(target, standard)
        self.path = "" if target == "-" or target in _STANDARD_PATHS else os.path.abspath(target)
        self.dropped = 0
        """Lines lost since the last that was written."""
        self._standard = STANDARD[standard]
        self._owner = owner
        self._socket: socket.socket | None = None
        self._careful = False
        """The descriptor may block: look before each write, and write little."""
        self._stuck = False
        self._rest = b""
        """The end of a line of which the beginning was written."""
        self._descriptor = self._open()

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: bytes) -> None:
        """Write whole lines, or count them as lost."""
        if self.dropped and not self._stuck:
            data = self._notice() + data
        block = self._rest + data if self._rest else data
        try:
            done = self._put(block)
        except OSError as error:
            done = 0
            self._tell(error)
        if done == len(block):
            self._rest = b""
            self._stuck = False
            return
        self._lost(block, done)

    def _lost(self, block: bytes, done: int) -> None:
        """What was not taken is dropped up to the next line end, which must still come."""
        if done and block[done - 1 : done] != b"\n":
            cut = block.find(b"\n", done) + 1
            self._rest, left = block[done:cut], block[cut:]
        elif self._rest and not done:
            cut = len(self._rest)
            left = block[cut:]
        else:
            self._rest, left = b"", block[done:]
        self.dropped += left.count(b"\n")
        self._stuck = done == 0

    def _put(self, block: bytes) -> int:
        """Write as much as goes; returns how much went. Raises `OSError` when none of it can."""
        done, view = 0, memoryview(block)
        give_up = 0.0
        while done < len(block):
            try:
                done += self._put_some(view[done:])
            except BlockingIOError:
                now = time.monotonic()
                give_up = give_up or now + (0.0 if self._stuck else PATIENCE)
                if now >= give_up or not self._wait(give_up - now):
                    if not self._stuck:
                        self._tell(BlockingIOError(errno.EAGAIN, "nobody reads it"))
                    return done
            except OSError:
                if not done:
                    raise
                return done
        return done

    def _put_some(self, view: memoryview) -> int:
        if self._socket is not None:
            return self._socket.send(view, socket.MSG_DONTWAIT)
        if self._careful:
            if not self._wait(0):
                raise BlockingIOError
            view = view[:PIECE]
        return _write(self._descriptor, view)

    def _wait(self, seconds: float) -> bool:
        poller = system_poll()
        poller.register(self._descriptor, POLLOUT)
        return bool(poller.poll(seconds * 1000))

    def _notice(self) -> bytes:
        count, self.dropped = self.dropped, 0
        return b"[log] %d line(s) were lost here because they could not be written\n" % count

    def _tell(self, error: OSError) -> None:
        """One notice on standard error when lines begin to be lost, unless that is where they are lost."""
        if self.dropped or self._stuck or self._descriptor == 2 or (self._standard == 2 and not self.path):
            return
        name = self.path or "standard output"
        line = f"[log] {name} cannot be written ({error.strerror}); its lines are dropped until it can\n"
        with suppress(OSError):
            if _ready(2):
                _write(2, line.encode(errors="backslashreplace"))

    # -- descriptors -----------------------------------------------------------------------------------

    def reopen(self) -> None:
        """Open the path anew (a rotated log). Raises `OSError` and keeps the old file when that fails."""
        if self.path:
            before, self._descriptor = self._descriptor, self._open()
            os.close(before)

    def close(self) -> None:
        """Give the descriptor back; harmless when repeated."""
        descriptor, self._descriptor = self._descriptor, -1
        if self._socket is not None:
            self._socket.close()
        elif descriptor > 2:
            os.close(descriptor)

    def _open(self) -> int:
        if not self.path:
            return self._open_standard()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
        try:
            descriptor = os.open(self.path, flags, 0o666)
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(os.stat(self.path).st_mode):
                raise
            # A named pipe that nobody reads yet: open it for reading too, so that it exists for us.
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        if self._owner is not None and os.geteuid() == 0 and stat.S_ISREG(os.fstat(descriptor).st_mode):
            # The workers must be able to open it again after a rotation.
            os.fchown(descriptor, *self._owner)
        return descriptor

    def _open_standard(self) -> int:
        """A description of our own where that is possible: setting O_NONBLOCK on the inherited one would
        change it for every process that shares it, the user's shell included."""
        number = self._standard
        mode = os.fstat(number).st_mode
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(number))
            return self._socket.fileno()
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            try:
                return os.open(f"/proc/self/fd/{number}", flags)
            except OSError:
                self._careful = True
        descriptor = os.dup(number)
        os.set_inheritable(descriptor, False)
        return descriptor


def _ready(descriptor: int) -> bool:
    poller = system_poll()
    poller.register(descriptor, POLLOUT)
    return bool(poller.poll(0))
