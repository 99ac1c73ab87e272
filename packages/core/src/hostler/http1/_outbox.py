"""What is written of one answer at a time: its head, its body in the framing that the head announced.

Knows neither requests nor the order of things; whoever calls keeps `begin`, `write`, `finish` in order.
"""

from __future__ import annotations

from typing import Final

from hostler.http1._render import CHUNKED, CLOSE, LENGTH, NO_BODY, Answer

_JOINED: Final = 65536
"""Blocks up to this size leave as one: copying them costs less than another buffer in the system call."""


class Outbox:
    """The bytes that one connection is to write, and how the body under way is framed."""

    __slots__ = ("_blocks", "_framing", "_left", "cut")

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._framing = NO_BODY
        self._left = 0
        self.cut = 0
        """Octets of the body that Content-Length had no room for."""

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def put(self, block: bytes) -> None:
        """Add bytes that are no part of a framed body."""
        self._blocks.append(block)

    def begin(self, answer: Answer) -> None:
        """Add a head; its body may follow."""
        self._blocks.append(answer.head)
        self._framing = answer.framing
        self._left = answer.length
        self.cut = 0

    def whole(self, answer: Answer, body: bytes) -> bool:
        """Add a head and all of its body when that is what it announced, else nothing."""
        if answer.framing != LENGTH or answer.length != len(body):
            return False
        if answer.length <= _JOINED:
            self._blocks.append(answer.head + body)
        else:
            self._blocks += (answer.head, body)
        self._left = self.cut = 0
        return True

    def write(self, block: bytes) -> None:
        """Add octets of the body, framed, and cut to Content-Length."""
        if type(block) is not bytes:
            block = bytes(block)  # what the application may change later
        framing = self._framing
        if framing == LENGTH:
            left = self._left - len(block)
            if left < 0:
                self.cut -= left
                block = block[:left]
                left = 0
            self._left = left
            if block:
                self._blocks.append(block)
        elif framing == CHUNKED:
            if block:
                self._blocks += (b"%x\r\n" % len(block), block, b"\r\n")
        elif framing == CLOSE:
            self._blocks.append(block)

    def skip(self, count: int) -> bool:
        """Leave room for octets that are written beside; False when the framing or its length has none."""
        if self._framing != LENGTH or count > self._left:
            return False
        self._left -= count
        return True

    def finish(self, trailers: bytes) -> bool:
        """End the body. False: it is shorter than what was announced."""
        if self._framing == CHUNKED:
            self._blocks.append(b"0\r\n%b\r\n" % trailers)
            return True
        return self._left == 0

    def take(self) -> list[bytes]:
        """All that is to be written: small blocks joined, large ones as they came."""
        blocks = self._blocks
        if not blocks:
            return []
        self._blocks = []
        if len(blocks) == 1:
            return blocks
        if len(blocks) == 2:
            return [blocks[0] + blocks[1]] if len(blocks[1]) <= _JOINED else blocks
        return _join(blocks)


def _join(blocks: list[bytes]) -> list[bytes]:
    joined: list[bytes] = []
    run: list[bytes] = []
    size = 0
    for block in blocks:
        if size + len(block) > _JOINED and run:
            joined.append(b"".join(run))
            run, size = [], 0
        run.append(block)
        size += len(block)
    joined.append(b"".join(run))
    return joined
