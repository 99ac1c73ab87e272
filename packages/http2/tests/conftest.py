"""Fixtures: a clock that stands still, and connections that read it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from frame_peers import Clock, opening
from hostler_http2._connection import open_connection


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connect(clock: Clock) -> Any:
    """Make a connection with settings."""
    return lambda **own: open_connection(opening(clock, **own))
