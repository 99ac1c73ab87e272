"""Leaving the terminal: the command ends when the server in the background is ready, or has failed.

The exit code is the server's, and its one line of error is shown, which a daemon could tell nobody.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_LONGEST = 4096


class Launcher:
    """In the background process: tells the command how the start went, once."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, code: int, message: str = "") -> None:
        """The start is over."""
        if self._descriptor >= 0:
            os.write(self._descriptor, f"{code} {message}".encode(errors="replace")[:_LONGEST])
            self.close()

    def close(self) -> None:
        """Without a word; a child does this after its fork."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def detach(*, keep_output: bool) -> Launcher:
    """Go on in the background; the calling process waits there and never returns from here."""
    heard, told = os.pipe()
    _flush()
    if os.fork():
        os.close(told)
        _wait(heard)
    os.close(heard)
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    if not keep_output:
        os.dup2(null, 1)
        os.dup2(null, 2)
    if null > 2:
        os.close(null)
    return Launcher(told)


def _wait(descriptor: int) -> Any:
    text = b""
    while block := os.read(descriptor, _LONGEST):
        text += block
    code, _, message = text.decode(errors="replace").partition(" ")
    if not code:
        code, message = "1", "the server ended while it started; see its error log"
    if message:
        print(f"hostler: error: {message}", file=sys.stderr)  # noqa: T201 - the log is the daemon's
    _flush()
    os._exit(int(code))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
