"""Monkey-patching, first thing in the child."""

from __future__ import annotations

import warnings
from typing import Any

import hostler.drive  # noqa: F401 - what the loop uses is bound before it is replaced


def prepare(settings: Any) -> None:
    """Make the standard library cooperative."""
    del settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import eventlet  # noqa: PLC0415 - importing it is what must come after the loop's own imports

        eventlet.monkey_patch()
