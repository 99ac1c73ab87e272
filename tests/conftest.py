"""Tests that drive a program from outside Python are left out, and counted at the end, where it is not installed.

`.ci/run` installs these programs; nobody needs root to run the rest.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections import Counter

import pytest

PACKAGES = {
    "chromium": "chromium",
    "curl": "curl",
    "h2load": "nghttp2-client",
    "nginx": "nginx-light",
    "postgres": "postgresql",
    "wrk": "wrk",
}
"""Programs that `@pytest.mark.needs` may name, each with Debian's package for it."""
LEFT_OUT = pytest.StashKey[Counter[str]]()


def installed(program: str) -> bool:
    """Whether it is on PATH, or where Debian puts servers."""
    others = ("chromium-browser", "google-chrome") if program == "chromium" else ()
    databases = glob.glob("/usr/lib/postgresql/*/bin")
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *databases])
    return any(shutil.which(name, path=path) for name in (program, *others))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run here."""
    missing = [program for program in PACKAGES if not installed(program)]
    counted = config.stash[LEFT_OUT] = Counter[str]()
    kept, others = [], []
    for item in items:
        needed = {program for mark in item.iter_markers("needs") for program in mark.args}
        assert needed <= PACKAGES.keys(), f"{item.nodeid} needs {needed}"
        absent = needed.intersection(missing)
        counted.update(absent)
        (others if absent else kept).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out."""
    for program, count in config.stash.get(LEFT_OUT, Counter[str]()).items():
        terminalreporter.write_line(
            f"left out: {count} tests need {program} (apt-get install {PACKAGES[program]})"
        )
