"""Sockets that carry frames and descriptors: the control connection of a worker, and what both sides share.

Nothing here knows what the frames mean.
"""

from __future__ import annotations

import array
import logging
import select
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from hostler_dirty import _wire
from hostler_dirty._wire import Frame, FrameReader
from hostler_dirty.errors import DirtyProtocolError

logger = logging.getLogger("hostler.dirty")

MAX_FDS = 8
CONTROL_LIMIT = 16 << 20
_SPACE = socket.CMSG_SPACE(MAX_FDS * array.array("i").itemsize)
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def decode(data: Any) -> Any:
    """The values of a frame's body. Raises DirtyProtocolError."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise DirtyProtocolError(f"A frame's body cannot be read: {error}") from None


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a stream."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


def send_with(sock: socket.socket, data: bytes, fds: Sequence[int]) -> int:
    """One sendmsg of the data with descriptors; how many octets went."""
    return sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def receive_with(sock: socket.socket, size: int = 65536) -> tuple[bytes, list[int]]:
    """One recvmsg: the data and the descriptors that came with it, closed on exec."""
    try:
        data, ancillary, _, _ = sock.recvmsg(size, _SPACE, _CLOEXEC)
    except BlockingIOError:
        if sock.gettimeout() == 0.0:
            raise
        # A socket of eventlet: it waits in `recv` only, and its `select` lets the other greenlets run.
        if not select.select([sock], [], [], sock.gettimeout())[0]:
            raise TimeoutError from None
        return receive_with(sock, size)
    fds: list[int] = []
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers = array.array("i")
            numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
            fds.extend(numbers)
    return data, fds


def send_all(sock: socket.socket, data: bytes, timeout: float) -> None:
    """Send on a non-blocking socket; raises TimeoutError when the peer takes nothing for `timeout` seconds.

    0: no limit. What the socket raises otherwise goes to the caller.
    """
    try:
        sent = sock.send(data)
    except BlockingIOError:
        sent = 0
    if sent == len(data):
        return
    view = memoryview(data)[sent:]
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    until = time.monotonic() + timeout
    while view:
        left = (until - time.monotonic()) * 1000 if timeout else None
        if not poll.poll(left if left is None else max(0.0, left)):
            raise TimeoutError("the reader takes nothing")
        try:
            sent = sock.send(view)
        except BlockingIOError:
            continue
        view = view[sent:]
        until = time.monotonic() + timeout


class Control:
    """A worker's connection to the arbiter."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(True)
        self._reader = FrameReader(CONTROL_LIMIT)
        self._lock = threading.Lock()
        self._fds: list[int] = []
        self.gone = False

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, data: bytes) -> None:
        """From any thread. A lost arbiter is not told of here: the reader sees it."""
        with self._lock:
            if self.gone:
                return
            try:
                self._sock.sendall(data)
            except OSError as error:
                self.gone = True
                logger.debug("the arbiter is gone: %s", error)

    def report(self, event: str, **values: Any) -> None:
        """Tell the arbiter of an event."""
        self.send(_wire.pack(_wire.EVENT, 0, encode({"event": event, **values})))

    def receive(self) -> list[tuple[Frame, list[int]]] | None:
        """What has come: frames, each with its descriptors; None: the arbiter is gone."""
        try:
            data, fds = receive_with(self._sock)
        except (ConnectionError, TimeoutError):
            return None
        if not data:
            return None
        self._fds.extend(fds)
        found = []
        for frame in self._reader.feed(data):
            carried = [self._fds.pop(0)] if frame.kind == _wire.INTRO and self._fds else []
            found.append((frame, carried))
        return found
