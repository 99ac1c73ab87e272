"""The process's name in lists of processes, through the package setproctitle where it is installed."""

from __future__ import annotations

import importlib
import sys


def set_title(title: str) -> None:
    """`hostler: TITLE`. Does nothing without the package, and on macOS, where it crashes."""
    if sys.platform == "darwin":
        return
    try:
        setproctitle = importlib.import_module("setproctitle")
    except ImportError:
        return
    setproctitle.setproctitle(f"hostler: {title}")


def warm_up() -> None:
    """Before the environment is changed: the package finds the room for titles by where the variables stand."""
    if sys.platform == "darwin":
        return
    try:
        importlib.import_module("setproctitle").getproctitle()
    except ImportError:
        return
