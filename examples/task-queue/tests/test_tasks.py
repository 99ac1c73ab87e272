"""A user's own unit tests: the apps run in this process, values go through the real codec, no server is started."""

from __future__ import annotations

import pytest
from hostler_dirty import DirtyAppError, DirtyWorkerError, get_dirty_client, stash
from hostler_dirty.testing import inline

APPS = ("tasks:Images", "tasks:Reports")


def test_a_job_tells_how_far_it_is() -> None:
    with inline(*APPS):
        told = get_dirty_client().execute("tasks:Images", "resize", "j1", ["a", "b"], width=9)
        assert told == {"files": 2, "width": 9}
        assert stash.get("jobs", "j1") == {"state": "running", "done": 2, "of": 2}


def test_nothing_to_report() -> None:
    with inline(*APPS), pytest.raises(DirtyAppError) as told:
        get_dirty_client().execute("tasks:Reports", "monthly", "j2", amounts=[])
    assert told.value.error_type == "ValueError"


def test_a_worker_that_dies_is_tried_again() -> None:
    import asyncio

    from web import Order, work

    with inline(*APPS) as pool:
        pool.fail_next(DirtyWorkerError("killed"))
        asyncio.run(work("j3", Order(task="monthly", arguments={"amounts": [1.0, 2.0]})))
        assert stash.get("jobs", "j3") == {"state": "finished", "result": {"sum": 3.0, "mean": 1.5}}
    assert len(pool.calls) == 2
