"""Hooks that put an interpreter of the test's in the place of the real one."""

from __future__ import annotations

import os
import sys


def another_interpreter(arbiter):
    """Before the pool starts: its workers are started by the file that the environment names."""
    sys.executable = os.environ["DIRTY_PYTHON"]
