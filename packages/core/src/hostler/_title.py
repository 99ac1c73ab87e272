"""The process's name in lists of processes, through the package setproctitle where it is installed."""

from __future__ import annotations

import importlib
import sys


def set_title(title: str) -> None:
    """`hostler: TITLE`. Does nothing where `warm_up` found no package: a child looks for nothing on the disk."""
    setproctitle = sys.modules.get("setproctitle")
    if setproctitle is not None and sys.platform != "darwin":
        setproctitle.setproctitle(f"hostler: {title}")


def warm_up() -> None:
    """Before the environment is changed: the package finds the room for titles by where the variables stand.

    Not on macOS, where it crashes.
    """
    if sys.platform == "darwin":
        return
    try:
        importlib.import_module("setproctitle").getproctitle()
    except ImportError:
        return
