"""Hooks that put an interpreter of the test's in the place of the real one."""

from __future__ import annotations

import os
import sys


def another_interpreter(arbiter):
    """Before the pool starts: its workers are started by the file that the environment names."""
    sys.executable = os.environ["DIRTY_PYTHON"]


def place_worker(arbiter, worker):
    """`dirty_post_fork`: beats what the apps ask for."""
    assert (worker.nice, worker.affinity) == (3, [min(os.sched_getaffinity(0))])
    worker.nice = 4
    worker.affinity = sorted(os.sched_getaffinity(0))
    worker.env["SEEN_BY_INIT"] = "yes"
