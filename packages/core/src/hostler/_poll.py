"""Readiness of descriptors, in one face over epoll and over what other systems have.

A descriptor stays registered for its life, level-triggered; `select` answers pairs (descriptor, readiness).
"""

from __future__ import annotations

import select
import selectors
import sys
from typing import Protocol

_EPOLL = getattr(select, "epoll", None)
"""Kept from before a library of greenlets replaces what `select` offers."""

system_poll = select.poll
Selector = selectors.DefaultSelector
"""Kept from before, as well: whoever waits by these waits for itself, as the arbiter does."""


class PollSelector(selectors.PollSelector):
    """The standard library's, on the system's own `poll` for good."""

    _selector_cls = select.poll


_EXCLUSIVE = getattr(select, "EPOLLEXCLUSIVE", 0)

_ENDED = getattr(select, "POLLRDHUP", 0)
"""Linux tells it only to who asks; elsewhere POLLHUP, which all are told, says the same."""

EDGE = getattr(select, "EPOLLET", 0)
"""With an interest: tell of each change once, not as long as it lasts. For what only epoll watches."""

READ, WRITE, BROKEN = 1, 4, 0x18
"""Bits of a readiness: EPOLLIN, EPOLLOUT, EPOLLERR | EPOLLHUP, which elsewhere get the same numbers."""


class Poller(Protocol):
    """What the driver asks of the system."""

    def add(self, descriptor: int, interest: int, *, exclusive: bool = False) -> None:
        """Watch it; `exclusive`: of several processes that watch it, wake as few as possible."""

    def change(self, descriptor: int, interest: int) -> None: ...

    def remove(self, descriptor: int) -> None: ...

    def select(self, seconds: float) -> list[tuple[int, int]]:
        """Wait up to so many seconds (0: only look)."""

    def fileno(self) -> int:
        """A descriptor that is readable while `select` has something to tell."""

    def close(self) -> None: ...


if sys.platform == "linux":

    class EpollPoller:
        """One epoll instance."""

        __slots__ = ("_epoll", "select")

        def __init__(self) -> None:
            assert _EPOLL is not None
            self._epoll: select.epoll = _EPOLL()
            self.select = self._epoll.poll

        def add(self, descriptor: int, interest: int, *, exclusive: bool = False) -> None:
            self._epoll.register(descriptor, interest | (_EXCLUSIVE if exclusive else 0))

        def change(self, descriptor: int, interest: int) -> None:
            self._epoll.modify(descriptor, interest)

        def remove(self, descriptor: int) -> None:
            self._epoll.unregister(descriptor)

        def fileno(self) -> int:
            return self._epoll.fileno()

        def close(self) -> None:
            self._epoll.close()


class SelectorPoller:
    """The standard library's best selector (kqueue on macOS)."""

    __slots__ = ("_selector",)

    def __init__(self) -> None:
        self._selector = Selector()

    def add(self, descriptor: int, interest: int, *, exclusive: bool = False) -> None:
        del exclusive
        self._selector.register(descriptor, _to_selectors(interest))

    def change(self, descriptor: int, interest: int) -> None:
        if interest:
            if descriptor in self._selector.get_map():
                self._selector.modify(descriptor, _to_selectors(interest))
            else:
                self._selector.register(descriptor, _to_selectors(interest))
        elif descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def remove(self, descriptor: int) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def select(self, seconds: float) -> list[tuple[int, int]]:
        return [
            (
                key.fd,
                (READ if mask & selectors.EVENT_READ else 0) | (WRITE if mask & selectors.EVENT_WRITE else 0),
            )
            for key, mask in self._selector.select(seconds)
        ]

    def fileno(self) -> int:
        fileno = getattr(self._selector, "fileno", None)
        if fileno is None:
            raise OSError("this system's selector has no descriptor of its own")
        return int(fileno())

    def close(self) -> None:
        self._selector.close()


def _to_selectors(interest: int) -> int:
    return (selectors.EVENT_READ if interest & READ else 0) | (
        selectors.EVENT_WRITE if interest & WRITE else 0
    )


def is_ended(descriptor: int) -> bool:
    """Whether a socket's other side has closed, or at least will send no more.

    Takes nothing from the socket, so it may be asked beside whoever reads it.
    """
    poll = system_poll()
    poll.register(descriptor, _ENDED)
    return bool(poll.poll(0))


def make_poller() -> Poller:
    """The system's best."""
    return EpollPoller() if sys.platform == "linux" else SelectorPoller()
