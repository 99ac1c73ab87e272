"""The page about executors and codecs, followed: its executor passes the suite, its codec carries what it says."""

from __future__ import annotations

from pathlib import Path

from walk import Walk

ROOT = Path(__file__).resolve().parents[2]


def test_page(walk: Walk) -> None:
    """Each file is written, each command run, and every answer is the one that stands there."""
    assert walk.follow((ROOT / "docs" / "dirty-executors.md").read_text()) == 3
