"""The pages of the dirty pool, followed from their first line to their last: the tutorial, the README, the examples."""

from __future__ import annotations

from pathlib import Path

import pytest
from walk import Walk

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ("embedding-service", "streaming-chat", "task-queue")

pytestmark = [pytest.mark.needs("curl"), pytest.mark.timeout(300)]


def test_tutorial(walk: Walk) -> None:
    """Each file is written, each command run, and every answer is the one that stands there."""
    assert walk.follow((ROOT / "docs" / "dirty.md").read_text()) > 15


def test_readme(walk: Walk) -> None:
    """Of the package, as PyPI shows it."""
    assert walk.follow((ROOT / "packages" / "dirty" / "README.md").read_text()) == 4


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(walk: Walk, name: str) -> None:
    """As its README runs it, every hook called; `under_gunicorn.py` does the same with gunicorn."""
    walk.copy(ROOT / "examples" / name)
    assert walk.follow((ROOT / "examples" / name / "README.md").read_text()) > 4
    log = walk.end()
    for hook in ("the pool has", "of arbiter", "has loaded", "HTTP workers,", "is gone"):
        assert hook in log
