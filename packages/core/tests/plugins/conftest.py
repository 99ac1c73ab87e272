"""Distributions made up in a directory: their metadata, their modules, and the command run with them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory on Python's path, like site-packages."""
    path = tmp_path / "site"
    path.mkdir()
    return path


@pytest.fixture
def distribution(site: Path) -> Callable[..., Path]:
    """`distribution("acme", "1.0", {"hostler.workers": {"mine": "acme_mod:worker"}}, acme_mod="…")`."""

    def make(
        name: str, version: str, points: dict[str, dict[str, str]], where: Path | None = None, **modules: str
    ) -> Path:
        root = where or site
        info = root / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = []
        for group, entries in points.items():
            lines.append(f"[{group}]")
            lines += [f"{entry} = {value}" for entry, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for module, code in modules.items():
            (root / f"{module}.py").write_text(code)
        return info

    return make


@pytest.fixture
def run(tmp_path: Path, site: Path) -> Run:
    """The command, in an empty directory of its own."""
    here = tmp_path / "here"
    here.mkdir()

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOSTLER_", "GUNICORN_"))}
        for name in ("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "SENDFILE"):
            kept.pop(name, None)
        path = os.pathsep.join(filter(None, [str(site), kept.get("PYTHONPATH", "")]))
        return subprocess.run(
            [sys.executable, "-m", "hostler", *arguments],
            cwd=here,
            env={**kept, "PYTHONPATH": path, "COLUMNS": "100", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call
