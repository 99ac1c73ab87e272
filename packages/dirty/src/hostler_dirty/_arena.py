"""The shared memory of a channel: one side writes large payloads, the other maps and reads them.

A channel carries one call at a time, so an arena has no allocator: each message starts at its beginning.
Memory that was used once stays mapped (fresh pages cost more than a copy through the socket); what a rare
giant message needed above KEEP is given back. This module knows no frame.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from hostler_dirty.errors import DirtyProtocolError

PAGE = mmap.PAGESIZE
KEEP = 16 << 20
_ALIGN = 64


def create() -> int:
    """A descriptor of anonymous memory of size 0, closed on exec; sealed against shrinking where possible."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("hostler-dirty", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # A peer that truncates the file would turn our next read into a SIGBUS.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        return fd
    fd, path = tempfile.mkstemp(prefix="hostler-dirty-")
    os.unlink(path)
    return fd


class Arena:
    """The writing side."""

    def __init__(self, fd: int, base: int = 0) -> None:
        """Payloads start at `base`; the descriptor is owned from here on."""
        self.fd = fd
        self._base = base
        self._size = 0
        self._map: mmap.mmap | None = None

    def write(self, pieces: Sequence[Any]) -> list[tuple[int, int]]:
        """Copy the pieces in, from the beginning on; their (offset, length). Raises OSError when memory ends."""
        at = self._base
        places = []
        for piece in pieces:
            places.append((at, len(piece)))
            at += -(-len(piece) // _ALIGN) * _ALIGN
        memory = self._reserve(at)
        for (offset, length), piece in zip(places, pieces, strict=True):
            memory[offset : offset + length] = piece
        return places

    @property
    def written(self) -> bool:
        """Something may lie in it that its reader has not read yet."""
        return self._map is not None

    def _reserve(self, end: int) -> mmap.mmap:
        if self._map is not None and end <= self._size:
            return self._map
        size = -(-max(end, 2 * self._size if end < KEEP else end, 1 << 20) // PAGE) * PAGE
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self.fd, 0, size)  # an error here, not a SIGBUS at the first touch
        else:
            os.ftruncate(self.fd, size)
        if self._map is not None:
            self._map.close()
        self._map = mmap.mmap(self.fd, size)
        self._size = size
        return self._map

    def trim(self) -> None:
        """Give back what lies above KEEP; call it when nobody reads the last message any more."""
        if self._map is not None and self._size > KEEP:
            if hasattr(mmap, "MADV_REMOVE"):
                self._map.madvise(mmap.MADV_REMOVE, KEEP, self._size - KEEP)
            self._map.close()
            self._map, self._size = None, 0

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Window:
    """The reading side: views of what the peer wrote."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map: mmap.mmap | None = None
        self._size = 0
        self._unused = 0
        self._view: memoryview | None = None

    def view(self, offset: int, length: int) -> memoryview:
        """A read-only view. Raises DirtyProtocolError when the place does not exist."""
        end = offset + length
        if self._map is None or end > self._size:
            size = os.fstat(self.fd).st_size
            if end > size:
                raise DirtyProtocolError("A buffer lies outside the shared memory")
            self._view = None
            self._map = mmap.mmap(self.fd, size, prot=mmap.PROT_READ)
            self._size = size
            self._unused = sys.getrefcount(self._map)
        if self._view is None:
            self._view = memoryview(self._map)
        return self._view[offset:end]

    def release(self) -> bool:
        """Whether nothing refers to the memory any more; otherwise the peer must not write there again.

        Every view that lives keeps a reference to the mapping, so its reference count tells.
        """
        if self._map is None or self._view is None:
            return True
        self._view.release()
        self._view = None
        if sys.getrefcount(self._map) > self._unused:
            return False
        if self._size > KEEP + PAGE:
            self._map.close()
            self._map, self._size = None, 0
        return True

    def close(self) -> None:
        """Forget the memory; views that still live keep it alive."""
        self._view = self._map = None
        self._size = 0
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Absent:
    """Page, arena and window of a channel that has no shared memory."""

    def __init__(self) -> None:
        self.words = [0]

    def view(self, offset: int, length: int) -> memoryview:
        raise DirtyProtocolError("A buffer in shared memory on a channel that has none")

    def release(self) -> bool:
        return True

    def trim(self) -> None:
        """Nothing to give back."""

    def close(self) -> None:
        """Nothing to close."""


class Page:
    """The first page of a caller's arena: words that both sides read without a system call."""

    def __init__(self, fd: int, *, create: bool = False, octets: int = PAGE) -> None:
        """The first `octets` of the file; with `create`, the file is given that size."""
        if create:
            os.ftruncate(fd, octets)
        self._map = mmap.mmap(fd, max(octets, PAGE))
        self.words = memoryview(self._map).cast("Q")

    def close(self) -> None:
        self.words.release()
        self._map.close()


STARTED = 0
"""Word: the call id whose action the worker has begun. What has not begun may be tried elsewhere."""
