"""The tutorial of the dirty pool, followed from its first line to its last."""

from __future__ import annotations

from pathlib import Path

import pytest
from walk import Walk

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.needs("curl")
def test_tutorial(walk: Walk) -> None:
    """Each file is written, each command run, and every answer is the one that stands there."""
    assert walk.follow((ROOT / "docs" / "dirty.md").read_text()) > 15
