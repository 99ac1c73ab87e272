"""Pages are followed by `walk`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from walk import Walk


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    """A directory to follow a page in; its server is ended, and its log is shown if the test failed."""
    walking = Walk(tmp_path)
    yield walking
    print(walking.end())
