"""Signals as a queue: a handler notes the number and wakes the loop, which acts when it comes round.

Used on both sides of a fork, each process with a queue of its own. Refuses to know what a signal means.

`write` and `read` are bound here, before any library of greenlets can replace them in `os`: a handler must
never yield to another greenlet.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from os import read, write
from types import FrameType

ARBITER = (
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGCHLD,
)
"""What the arbiter acts on."""

COUNTED = frozenset({signal.SIGTTIN, signal.SIGTTOU})
"""Signals of which each one counts; of the others a second before the first was seen says nothing new."""

MOST = 64
"""Counted signals that are kept; a storm of more is cut."""

STACKS = getattr(signal, "SIGRTMIN", signal.SIGUSR2)
"""Asks a child for the stacks of its threads; a number that applications have no use for, where there is one."""


class SignalQueue:
    """Signals that came and have not been acted on, and a descriptor that is readable while there are any."""

    __slots__ = ("_pending", "_read", "_write")

    def __init__(self) -> None:
        self._pending: deque[int] = deque()
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._read

    def install(self, numbers: Iterable[int]) -> None:
        """Queue these signals from now on."""
        for number in numbers:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.put(number)

    def put(self, number: int) -> None:
        """Queue a signal and wake the loop. Safe inside a handler."""
        if number in COUNTED:
            if len(self._pending) < MOST:
                self._pending.append(number)
        elif number not in self._pending:
            self._pending.append(number)
        self.wake()

    def wake(self) -> None:
        """Make the descriptor readable."""
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            write(self._write, b"\0")

    def take(self) -> list[int]:
        """What came since the last call, in its order; the descriptor is quiet again."""
        with contextlib.suppress(BlockingIOError):
            while len(read(self._read, 512)) == 512:
                continue
        taken = []
        while self._pending:
            taken.append(self._pending.popleft())
        return taken

    def close(self) -> None:
        """Give the descriptors back; a handler that is still installed then fails, so replace it first."""
        os.close(self._read)
        os.close(self._write)


@contextlib.contextmanager
def blocked() -> Iterator[None]:
    """Hold signals back around a fork, so that none runs the parent's handler in the child."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock() -> None:
    """In a child, once its own handlers stand."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def ignore(number: int, frame: FrameType | None) -> None:
    """A handler that does nothing. Unlike `SIG_IGN` it is not passed on to programs that the application runs."""


def reset(numbers: Iterable[int], action: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    """One disposition for all of these."""
    for number in numbers:
        signal.signal(number, action)


def name(number: int) -> str:
    """`SIGKILL`, or `signal 99` for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
