"""`server ctl dirty …`, the command's end: ask the arbiter over its control socket."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from hostler.errors import HostlerError
from hostler.plugin import Bound

from hostler_dirty import _line, _wire
from hostler_dirty._settings import DirtySettings
from hostler_dirty._wire import FrameReader

PATIENCE = 600.0
"""Seconds: a reload loads the apps anew, one slot after the other."""


def control(settings: DirtySettings, bound: Bound, words: Sequence[str]) -> dict[str, Any]:
    """The arbiter's answer to one command; `ok` says whether it was done."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(PATIENCE)
        try:
            sock.connect(bound.values["control"])
            sock.sendall(_wire.pack(_wire.MANAGE, 1, _line.encode(list(words))))
            reader = FrameReader(_line.CONTROL_LIMIT)
            while data := sock.recv(65536):
                for frame in reader.feed(data):
                    if frame.kind == _wire.REPLY:
                        return _line.decode(frame.body)  # type: ignore[no-any-return]
        except OSError as error:
            raise HostlerError(f"the dirty arbiter cannot be asked: {error}") from None
    raise HostlerError("the dirty arbiter ended before it answered")
