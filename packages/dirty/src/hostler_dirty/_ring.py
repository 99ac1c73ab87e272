"""How a session with the arbiter begins: at the doorbell of the server that started this process, or at a socket file.

The doorbell outlives an arbiter; a socket file does not, so a caller from outside waits a little for its successor.
"""

from __future__ import annotations

import os
import socket
import time

from hostler_dirty import _line
from hostler_dirty._place import HERE
from hostler_dirty.errors import DirtyConnectionError, DirtyUsageError

SUCCESSION = 30.0
"""Seconds that a caller from outside, which has had a session before, waits for who replaces a dead arbiter."""
RESTORED = 3.0
"""As long it waits for a socket file that is gone: it is made anew, or the server has stopped."""
GREETED = 5.0
PATIENCE = 1.0


def settle(address: str) -> None:
    """This process calls the pool behind that socket file from now on. Raises DirtyConnectionError, DirtyUsageError."""
    from hostler_dirty._hub import HUBS  # noqa: PLC0415  (both lean on this module)
    from hostler_dirty._lines import PILE  # noqa: PLC0415

    scheme, _, path = address.partition(":")
    if scheme != "unix" or not path:
        raise DirtyUsageError(f"{address!r} is not of the form unix:PATH, the server's dirty_bind")
    if HERE.doorbell >= 0:
        raise DirtyUsageError("This process has a dirty pool of its own: use get_dirty_client()")
    if path != HERE.address:
        PILE.clear()
        HUBS.leave()
        HERE.address, HERE.welcomed, HERE.refused_since = path, False, 0.0
    try:
        PILE.put(PILE.fresh(time.monotonic_ns() + int(GREETED * 1e9)))
    except TimeoutError:
        raise DirtyConnectionError(f"The server at {address} does not answer") from None


class Later(Exception):
    """The arbiter is being replaced, so it seems: knock again."""


def ring() -> socket.socket:
    """A new session's socket. Raises DirtyConnectionError, OSError, Later."""
    if HERE.address:
        return _knock()
    doorbell = HERE.require()
    ours, theirs = _line.pair()
    try:
        with theirs, socket.socket(fileno=os.dup(doorbell)) as bell:
            _line.send_with(bell, b"ring", (theirs.fileno(),))
    except OSError:
        ours.close()
        raise
    return ours


def unreachable(error: OSError) -> DirtyConnectionError:
    """The error of a caller whom nobody lets in."""
    where = f" at unix:{HERE.address}" if HERE.address else ""
    return DirtyConnectionError(f"The dirty pool cannot be reached{where}: {error}")


def _knock() -> socket.socket:
    """Connect to the door for outsiders."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(HERE.address)
    except (ConnectionRefusedError, FileNotFoundError) as error:
        sock.close()
        HERE.refused_since = HERE.refused_since or time.monotonic()
        wait = RESTORED if isinstance(error, FileNotFoundError) else SUCCESSION
        if HERE.welcomed and time.monotonic() - HERE.refused_since < wait:
            raise Later from error
        raise
    except OSError:
        sock.close()
        raise
    HERE.refused_since = 0.0
    return sock
