"""What is on its way to one peer: blocks and parts of files that its socket has not taken yet.

Writes as far as the socket takes it and never waits. Knows no protocol and no poller.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

MORE = getattr(socket, "MSG_MORE", 0)
"""Nothing follows but our end of the connection: octets and end leave in one segment, where the system can."""
JOINED = 32768
"""Below this many octets a few blocks are joined rather than given to sendmsg: one copy is cheaper."""


NOTHING: Final[list[bytes | memoryview]] = []


class FileSegment:
    """A part of a file that waits to be sent by sendfile; owns its descriptor."""

    __slots__ = ("count", "descriptor", "offset")

    def __init__(self, descriptor: int, offset: int, count: int) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.count = count


def offer(sock: Any, out: list[bytes], secure: bool, last: bool = False) -> list[bytes | memoryview]:
    """Give blocks to a socket before which nothing waits; what it has not taken. Raises OSError when the peer is gone.

    `last`: nothing follows them, so our side ends with them. To close instead would not do: what the peer has sent
    meanwhile would turn the end into a reset, which drops what waits for it.
    """
    try:
        if len(out) == 1:
            block = out[0]
            sent = sock.send(block, MORE) if last else sock.send(block)
            if sent == len(block):
                if last:
                    sock.shutdown(socket.SHUT_WR)
                return NOTHING
        elif secure or sum(map(len, out)) <= JOINED:
            out = [b"".join(out)]  # TLS must be offered the same octets again when it could not take them
            sent = sock.send(out[0])
        else:
            sent = sock.sendmsg(out[:512])
    except BlockingIOError:
        sent = 0
    rest: list[bytes | memoryview] = []
    for block in out:
        if sent < len(block):
            rest.append(memoryview(block)[sent:])
            sent = 0
        else:
            sent -= len(block)
    return rest


class Outbox:
    """The queue in front of one socket."""

    __slots__ = ("_pending", "_socket", "octets", "size")

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self._pending: deque[memoryview | FileSegment] = deque()
        self.size = 0
        """Octets that wait."""
        self.octets = 0
        """Octets that the socket took of those that had to wait."""

    def queue(self, blocks: Sequence[bytes | memoryview]) -> None:
        """Write these blocks behind what waits already."""
        for block in blocks:
            if block:
                self._pending.append(memoryview(block))
                self.size += len(block)

    def send_file(self, descriptor: int, offset: int, count: int) -> None:
        """Write a part of a file behind what waits already; the descriptor is duplicated."""
        self._pending.append(FileSegment(os.dup(descriptor), offset, count))
        self.size += count

    def write(self) -> None:
        """Go on until the socket takes no more. Raises OSError when the peer is gone or a file is shorter now."""
        pending = self._pending
        try:
            while pending:
                part = pending[0]
                if isinstance(part, FileSegment):
                    sent = os.sendfile(self._socket.fileno(), part.descriptor, part.offset, part.count)
                    if sent == 0:
                        raise ConnectionAbortedError("the file is shorter than it was")
                    part.offset += sent
                    part.count -= sent
                    rest = part.count
                else:
                    sent = self._socket.send(part)
                    pending[0] = part[sent:]
                    rest = len(part) - sent
                self.size -= sent
                self.octets += sent
                if not rest:
                    done = pending.popleft()
                    if isinstance(done, FileSegment):
                        os.close(done.descriptor)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Forget what waits."""
        while self._pending:
            part = self._pending.popleft()
            if isinstance(part, FileSegment):
                os.close(part.descriptor)
        self.size = 0


EMPTY: Final = Outbox(None)
"""Stands where nothing has ever had to wait, which most connections never leave; nothing is put into it."""
