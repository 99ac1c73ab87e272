"""`server ctl dirty …`, the command's end: ask the arbiter over its control socket."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from hostler.errors import HostlerError
from hostler.plugin import Bound

from hostler_dirty import _exposition, _line, _metrics, _wire
from hostler_dirty._settings import DirtySettings
from hostler_dirty._wire import FrameReader

PATIENCE = 600.0
"""Seconds: a reload loads the apps anew, one slot after the other."""


def control(settings: DirtySettings, bound: Bound, words: Sequence[str]) -> Any:
    """The answer to one command; `ok` says whether it was done. With `--format prometheus` it is text."""
    if list(words[:1]) != ["metrics"]:
        return _ask(bound, words)
    text = list(words[1:]) in (["--format", "prometheus"], ["--format=prometheus"])
    answer = _ask(bound, words[:1] if text else words)
    if not answer["ok"]:
        return answer
    rows = _metrics.read(answer["rows"])
    return _exposition.prometheus(rows) if text else {"ok": True, "metrics": _exposition.plain(rows)}


def _ask(bound: Bound, words: Sequence[str]) -> dict[str, Any]:
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
