"""The body of a request as the application reads it: `wsgi.input` (PEP 3333).

A body is collected before the application runs, in memory while it is small and in a temporary file when it
is not, so a slow sender holds no worker. Only a client that waits for 100 (Continue) is read while the
application runs, because nobody but the application can tell whether the body is wanted.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

IN_MEMORY = 1 << 20
"""Octets of a body kept in memory; more go to a temporary file."""


class ClientDisconnected(ConnectionError):
    """The client left, or was too slow, before its request's body was complete."""


class Body:
    """Collects the blocks of one body."""

    __slots__ = ("_blocks", "_file", "complete", "gone", "size")

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._file: BinaryIO | None = None
        self.size = 0
        self.complete = False
        self.gone = ""
        """Why no more will come of a body that is not complete."""

    def feed(self, block: bytes) -> None:
        """Take the next octets. Raises OSError when a temporary file cannot be written (no room)."""
        self.size += len(block)
        if self._file is not None:
            self._file.write(block)
            return
        self._blocks.append(block)
        if self.size > IN_MEMORY:
            self._file = cast("BinaryIO", tempfile.TemporaryFile(prefix="hostler-body-"))  # noqa: SIM115
            self._file.write(b"".join(self._blocks))
            self._blocks.clear()

    def open(self) -> BinaryIO:
        """The whole body as a file at its beginning."""
        if self._file is not None:
            self._file.seek(0)
            return self._file
        blocks = self._blocks
        return io.BytesIO(blocks[0] if len(blocks) == 1 else b"".join(blocks))

    def close(self) -> None:
        """Free a temporary file."""
        if self._file is not None:
            self._file.close()


class AwaitedInput:
    """An input whose client waits for 100 (Continue): the first read asks for the body and waits for all of it."""

    __slots__ = ("_await", "_body", "_file")

    def __init__(self, body: Body, awaiting: Callable[[], None]) -> None:
        self._body = body
        self._await = awaiting
        self._file: BinaryIO | None = None

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._await()
            if not self._body.complete:
                raise ClientDisconnected(self._body.gone or "the client left before its body was complete")
            self._file = self._body.open()
        return self._file

    def read(self, size: int | None = -1) -> bytes:
        """As `io.BufferedReader.read`; raises `ClientDisconnected` when the body ends early."""
        return self._opened().read(-1 if size is None else size)

    def readline(self, size: int | None = -1) -> bytes:
        """One line, at most `size` octets of it."""
        return self._opened().readline(-1 if size is None else size)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """Lines until about `hint` octets were read."""
        return self._opened().readlines(-1 if hint is None else hint)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._opened())

    def __next__(self) -> bytes:
        return next(self._opened())
