"""The settings' reference is what the declarations say, and its examples are configurations."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "settings.md"


def test_the_reference_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "settings_reference.py"), "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("language", "name"), [("toml", "hostler.toml"), ("python", "hostler.conf.py")])
def test_the_examples(tmp_path: Path, language: str, name: str) -> None:
    """As written, but for the certificate, which this machine does not have."""
    match = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert match is not None
    (tmp_path / "app.pem").touch()
    (tmp_path / name).write_text(match[1].replace("/etc/ssl/app.pem", str(tmp_path / "app.pem")))
    done = subprocess.run(
        [sys.executable, "-m", "hostler", "config", "--json"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    table = json.loads(done.stdout)
    assert table["threads"]["value"] == 8
    assert table["gthread_queue_wait"]["value"] == 5
