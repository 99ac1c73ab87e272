"""One process at a time: a lock between processes that the kernel lets go when its holder dies."""

from __future__ import annotations

import fcntl
import os
import tempfile


def nameless_file(label: str) -> int:
    """A descriptor of a file that has no name and goes with its last descriptor."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(f"hostler-{label}")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Turn:
    """Made before the forks; `with turn:` excludes every other process that inherited it."""

    __slots__ = ("_descriptor",)

    def __init__(self) -> None:
        self._descriptor = nameless_file("turn")

    def __enter__(self) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *error: object) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
