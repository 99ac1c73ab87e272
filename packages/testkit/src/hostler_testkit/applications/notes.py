"""What an application leaves for its test, and what it waits for: files in the server's directory."""

from __future__ import annotations

import os
from pathlib import Path


def directory() -> Path:
    """Where server and test meet."""
    return Path(os.environ["HOSTLER_TESTKIT_DIRECTORY"])


def leave(name: str, text: str = "") -> None:
    """Write a file at once: a reader sees it whole or not at all."""
    part = directory() / f".{name}.{os.getpid()}"
    part.write_text(text or "yes")
    part.rename(directory() / name)


def add(name: str) -> None:
    """Count: one more octet in a file."""
    with (directory() / name).open("a") as file:
        file.write("+")


def is_open(gate: str) -> bool:
    """The test has let this gate's request go."""
    return (directory() / f"open.{gate}").exists()
