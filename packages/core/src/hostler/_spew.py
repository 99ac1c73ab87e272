"""`spew`: print every line of Python that runs, for who debugs a server line by line. Very slow."""

from __future__ import annotations

import linecache
import sys
from types import FrameType
from typing import Any


def start() -> None:
    """From now on, in this thread and in those that it starts."""
    sys.settrace(_trace)


def _trace(frame: FrameType, event: str, argument: Any) -> Any:
    del argument
    if event == "line":
        code = frame.f_code
        text = linecache.getline(code.co_filename, frame.f_lineno).strip()
        module = frame.f_globals.get("__name__", "?")
        print(f"{module}:{frame.f_lineno} {text}", file=sys.stderr)  # noqa: T201 - this is the setting's purpose
    return _trace
