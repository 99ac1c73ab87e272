"""The pid file: written whole or not at all, and never taken away from a server that lives.

A lock on the file, not the number in it, says whether its server runs: numbers are used again by strangers.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile

from hostler.errors import ConfigError


class PidFile:
    """The file of one running arbiter."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def create(cls, path: str) -> PidFile:
        """Write this process's pid. Raises `ConfigError` when a live server has the file, or it cannot be written."""
        path = os.path.abspath(path)
        directory = os.path.dirname(path)
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=directory)
        except OSError as error:
            raise ConfigError(f"pidfile: {path!r} cannot be written: {error.strerror}") from None
        try:
            os.fchmod(descriptor, 0o644)
            os.write(descriptor, b"%d\n" % os.getpid())
            _lock(descriptor)
            _put(temporary, path)
        except OSError as error:
            os.close(descriptor)
            raise ConfigError(f"pidfile: {path!r} cannot be written: {error.strerror}") from None
        except ConfigError:
            os.close(descriptor)
            raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        return cls(path, descriptor)

    def rename(self, path: str) -> None:
        """Take another name, as the new arbiter does when the old one has gone. Raises `OSError`."""
        path = os.path.abspath(path)
        if path != self.path:
            os.rename(self.path, path)
            self.path = path

    def remove(self) -> None:
        """Remove it, if it is still ours."""
        with contextlib.suppress(OSError):
            ours, there = os.fstat(self._descriptor), os.stat(self.path)
            if (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino):
                os.unlink(self.path)
        self.close()

    def close(self) -> None:
        """Let go of the lock; a child does this after its fork and leaves the file where it is."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _lock(descriptor: int) -> bool:
    """False when another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # A file system without locks: then nothing can be known, and the file is taken for stale.
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
    return True


def _put(temporary: str, path: str) -> None:
    """Give our file its name: only if there is none, or nobody holds the one that is there."""
    for _ in range(10):
        try:
            os.link(temporary, path)
        except FileExistsError:
            if _replaced(temporary, path):
                return
        else:
            return
    raise ConfigError(f"pidfile: {path!r} changes all the time; is another server starting?")


def _replaced(temporary: str, path: str) -> bool:
    """Put our file in place of a stale one; False when the old one has just gone."""
    try:
        old = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if not _lock(old):
            number = os.read(old, 32).decode(errors="replace").strip()
            raise ConfigError(f"pidfile: {path!r} belongs to a server that runs (pid {number})")
        os.rename(temporary, path)
    finally:
        os.close(old)
    return True
