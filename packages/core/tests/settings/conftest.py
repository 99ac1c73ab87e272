"""Reading settings in a directory of its own, with the plugins that a test names and no others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostler._configuration import Configuration, build
from hostler._plugins import Entry, Registry

CORE = (
    ("hostler.workers", "sync", "hostler._sync:worker"),
    ("hostler.protocols", "http1", "hostler.http1:protocol"),
    ("hostler.loggers", "std", "hostler._log:logger"),
    ("hostler.reloaders", "auto", "hostler._reload:automatic"),
    ("hostler.reloaders", "poll", "hostler._reload:reloader"),
)
"""What the core brings; other packages that happen to be installed must not change a test."""


def core_entries() -> list[Entry]:
    return [Entry(group, name, value, "hostler", "0") for group, name, value in CORE]


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    """A Python file puts its directory on the path."""
    before = list(sys.path)
    yield
    sys.path[:] = before
    sys.modules.pop("__config__", None)


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Configuration]:
    """`configure("--workers", "2", file=..., toml=..., environ=...)`: what the server would run with."""

    def run(
        *argv: str,
        file: str | None = None,
        toml: str | None = None,
        environ: dict[str, str] | None = None,
        plugins: Any = (),
    ) -> Configuration:
        if file is not None:
            (tmp_path / "hostler.conf.py").write_text(file)
        if toml is not None:
            (tmp_path / "hostler.toml").write_text(toml)
        registry = Registry([*core_entries(), *plugins])
        return build(argv, environ=environ or {}, directory=str(tmp_path), registry=registry)

    return run
