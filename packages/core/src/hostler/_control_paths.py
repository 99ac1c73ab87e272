"""Where the control socket of a server is: a private directory, one file per instance, and how to find it."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hostler.settings import Settings

SUFFIX = ".ctl"


def path_for(settings: Settings, pid: int) -> str:
    """The socket's path of the server with this process id; empty when there is to be none.

    Without the setting it is `<pid>.ctl` in the user's private runtime directory, made here (0700).
    """
    if settings.control_socket_disable:
        return ""
    if settings.control_socket:
        return os.path.abspath(settings.control_socket)
    for directory in directories():
        with contextlib.suppress(OSError):
            os.makedirs(directory, 0o700, exist_ok=True)
            if private(directory):
                _sweep(directory)
                return os.path.join(directory, f"{pid}{SUFFIX}")
    return ""


def directories() -> Iterator[str]:
    """Where private directories of this user can be; never one that others can write to, such as /tmp."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime):
        yield os.path.join(runtime, "hostler")
    if os.geteuid() == 0:
        yield "/run/hostler"
    home = os.path.expanduser("~")
    if os.path.isabs(home) and home != "/":
        yield os.path.join(home, ".hostler")


def private(directory: str) -> bool:
    """It is a directory of ours that nobody else can enter."""
    found = os.lstat(directory)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def sockets() -> list[str]:
    """The control sockets of this user's servers on which somebody listens."""
    found = []
    for directory in directories():
        with contextlib.suppress(OSError):
            if private(directory):
                names = sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX))
                found += [os.path.join(directory, name) for name in names]
    return [path for path in found if alive(path)]


def alive(path: str) -> bool:
    """Somebody listens on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except (BlockingIOError, TimeoutError):
            return True  # its backlog is full
        except OSError:
            return False
    return True


def _sweep(directory: str) -> None:
    """Remove what servers left that were killed."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if name.endswith(SUFFIX) and not alive(path):
            with contextlib.suppress(OSError):
                os.unlink(path)
