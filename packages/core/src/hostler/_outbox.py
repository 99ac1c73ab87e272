"""What is on its way to one peer: blocks and parts of files that its socket has not taken yet.

Writes as far as the socket takes it and never waits. Knows no protocol and no poller.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Any

JOINED = 32768
"""Below this many octets a few blocks are joined rather than given to sendmsg: one copy is cheaper."""


class FileSegment:
    """A part of a file that waits to be sent by sendfile; owns its descriptor."""

    __slots__ = ("count", "descriptor", "offset")

    def __init__(self, descriptor: int, offset: int, count: int) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.count = count


class Outbox:
    """The queue in front of one socket."""

    __slots__ = ("_pending", "_secure", "_socket", "octets", "size")

    def __init__(self, sock: Any, *, secure: bool) -> None:
        self._socket = sock
        self._secure = secure
        self._pending: deque[memoryview | FileSegment] = deque()
        self.size = 0
        """Octets that wait."""
        self.octets = 0
        """Octets that the socket took of those that had to wait."""

    def send(self, out: list[bytes]) -> None:
        """Write these blocks behind what waits already. Raises OSError when the peer is gone."""
        if self._pending:
            self._queue(out, 0)
            return
        try:
            if len(out) == 1:
                block = out[0]
                sent = self._socket.send(block)
                if sent == len(block):
                    return
            else:
                sent = self._send_several(out)
        except BlockingIOError:
            sent = 0
        self._queue(out, sent)

    def _send_several(self, out: list[bytes]) -> int:
        if self._secure or sum(map(len, out)) <= JOINED:
            out[:] = [b"".join(out)]  # TLS must be offered the same octets again when it could not take them
            return int(self._socket.send(out[0]))
        return int(self._socket.sendmsg(out[:512]))

    def _queue(self, out: list[bytes], sent: int) -> None:
        for block in out:
            if sent >= len(block):
                sent -= len(block)
                continue
            view = memoryview(block)[sent:]
            sent = 0
            self._pending.append(view)
            self.size += len(view)

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
