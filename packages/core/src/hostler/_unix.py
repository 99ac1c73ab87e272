"""A listening Unix socket on its path: a file of nobody is cleared away, a live or foreign one never.

Knows permissions, owners and the file that stands in the way. Refuses to know listeners and settings.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator

from hostler._bind import Bind
from hostler.errors import ListenError

Inode = tuple[int, int]


def open_socket(bind: Bind, mode: int) -> tuple[socket.socket, Bind, Inode | None]:
    """Bound and listening, with its inode, by which the file is known to be ours later. Raises `OSError`."""
    with _directory_lock(os.path.dirname(bind.path)):
        _clear(bind)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            before = os.umask(0o777 & ~mode)
            try:
                sock.bind(bind.path)
            finally:
                os.umask(before)
            found = inode(bind.path)
            _give(bind)
            sock.setblocking(False)
            sock.listen(bind.backlog)
        except OSError as error:
            sock.close()
            if "too long" in str(error):
                raise ListenError(f"bind {bind.text!r}: the path is too long for a Unix socket") from None
            raise
    return sock, bind, found


def _give(bind: Bind) -> None:
    """As root: the socket belongs to whom the workers will run as, before anyone can connect."""
    user = -1 if bind.user is None else bind.user
    group = -1 if bind.group is None else bind.group
    if os.geteuid() == 0 and (user, group) != (-1, -1):
        os.chown(bind.path, user, group, follow_symlinks=False)


def _clear(bind: Bind) -> None:
    """Make way for a Unix socket: only a socket that nobody listens on is removed."""
    try:
        mode = os.lstat(bind.path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(
            f"bind {bind.text!r}: the file exists and is not a socket; remove it or take another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(bind.path)
        except ConnectionRefusedError:
            os.unlink(bind.path)
            return
        except BlockingIOError:
            # Its backlog is full: somebody listens.
            answer = ""
        except OSError as error:
            answer = f" ({error.strerror})"
        else:
            answer = ""
    raise ListenError(f"bind {bind.text!r}: the socket is in use; another server listens on it{answer}")


@contextlib.contextmanager
def _directory_lock(path: str) -> Iterator[None]:
    """Two servers that start at once look at the same file one after the other. Advisory, bounded."""
    try:
        descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        # A directory that may be searched but not read: go on without.
        yield
        return
    try:
        for _ in range(100):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(0.02)
            else:
                break
        yield
    finally:
        os.close(descriptor)


def inode(path: str) -> Inode | None:
    """Device and inode of what stands at the path; None when nothing does."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
