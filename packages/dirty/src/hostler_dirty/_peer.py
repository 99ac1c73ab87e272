"""A socket of the arbiter: frames out at once or queued, frames in by callback. Never blocks.

A peer that takes nothing is cut off when more than BACKLOG octets wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence

from hostler_dirty import _line
from hostler_dirty._wire import Frame, FrameReader
from hostler_dirty.errors import DirtyProtocolError

logger = logging.getLogger("hostler.dirty")

BACKLOG = 4 << 20


class Peer:
    """One connection. Descriptors that are sent belong to the peer from then on."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        name: str,
        on_frame: Callable[[Frame], None],
        on_close: Callable[[], None],
        limit: int = _line.CONTROL_LIMIT,
    ) -> None:
        self._loop, self._sock, self.name = loop, sock, name
        self._on_frame, self._on_close = on_frame, on_close
        self._reader = FrameReader(limit)
        self._queue: deque[tuple[bytes, Sequence[int]]] = deque()
        self._queued = 0
        self.closed = False
        sock.setblocking(False)
        loop.add_reader(sock.fileno(), self._readable)

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send, or queue when the socket is full."""
        if self.closed:
            _close_all(fds)
            return
        if not self._queue:
            left = self._try(data, fds)
            if left is None or self.closed:
                return
            data, fds = left
            self._loop.add_writer(self._sock.fileno(), self._writable)
        self._queue.append((data, fds))
        self._queued += len(data)
        if self._queued > BACKLOG:
            logger.warning("%s reads nothing; it is cut off", self.name)
            self.close()

    def _try(self, data: bytes, fds: Sequence[int]) -> tuple[bytes, Sequence[int]] | None:
        """What could not be sent; None: all of it went, or the peer is gone."""
        try:
            sent = _line.send_with(self._sock, data, fds) if fds else self._sock.send(data)
        except BlockingIOError:
            return data, fds
        except OSError:
            _close_all(fds)
            self.close()
            return None
        _close_all(fds)
        return (data[sent:], ()) if sent < len(data) else None

    def _writable(self) -> None:
        while self._queue:
            data, fds = self._queue.popleft()
            self._queued -= len(data)
            left = self._try(data, fds)
            if self.closed:
                return
            if left is not None:
                self._queue.appendleft(left)
                self._queued += len(left[0])
                return
        self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        try:
            data, fds = _line.receive_with(self._sock)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        _close_all(fds)  # nobody may send us descriptors here
        if not data:
            self.close()
            return
        try:
            frames = self._reader.feed(data)
        except DirtyProtocolError as error:
            logger.warning("%s is cut off: %s", self.name, error)
            self.close()
            return
        for frame in frames:
            if self.closed:
                return
            try:
                self._on_frame(frame)
            except DirtyProtocolError as error:
                logger.warning("%s is cut off: %s", self.name, error)
                self.close()

    def close(self) -> None:
        """Close the socket and tell the owner, once."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for _, fds in self._queue:
            _close_all(fds)
        self._queue.clear()
        self._on_close()


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
