"""For tests of applications that call the pool: `with inline("app:Model"): …` runs the apps right here.

from hostler_dirty.testing import inline

def test_view():
    with inline("models:Embedder") as pool:
        ...
        pool.fail_next(DirtyQueueFullError(retry_after=1.0))
"""

from __future__ import annotations

from hostler_dirty._inline import InlinePool

__all__ = ["InlinePool", "inline"]


def inline(*apps: str | type, timeout: float = 30.0, max_payload: int = 256 << 20) -> InlinePool:
    """A context manager in which clients and the stash of this process use apps in this process.

    `apps`: classes, or `module:Class`. `timeout` and `max_payload` stand for the settings of these names.
    """
    return InlinePool(apps, timeout=timeout, max_payload=max_payload)
