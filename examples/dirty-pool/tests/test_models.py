"""A user's own unit tests: the apps run in this process, by the real codec, without a server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostler_dirty import DirtyAppError, DirtyQueueFullError, get_dirty_client, stash
from hostler_dirty.testing import inline

APPS = ("models:Embedder", "models:Tasks", "models:Chat")


def test_the_same_text_has_the_same_vector():
    with inline(*APPS):
        client = get_dirty_client()
        first, second, other = (
            client.execute("models:Embedder", "embed", t) for t in ("a cat", "a cat", "a dog")
        )
    assert first == second != other
    assert sum(x * x for x in first) == pytest.approx(1.0)


def test_a_job_tells_its_progress():
    with inline(*APPS):
        assert get_dirty_client().execute("models:Tasks", "resize", "j1", 3)["state"] == "finished"
        assert stash.get("jobs", "j1") == {"done": 3, "of": 3}


def test_a_chat_comes_in_words():
    with inline(*APPS):
        words = list(get_dirty_client().stream("models:Chat", "reply", "hello"))
    assert words[2] == "hello "


def test_what_the_caller_does_when_the_queue_is_full():
    with inline(*APPS) as pool:
        pool.fail_next(DirtyQueueFullError(retry_after=2.0))
        with pytest.raises(DirtyQueueFullError) as told:
            get_dirty_client().execute("models:Embedder", "embed", "x")
    assert told.value.retry_after == 2.0


def test_an_argument_of_the_wrong_kind():
    with inline(*APPS), pytest.raises(DirtyAppError, match="lower"):
        get_dirty_client().execute("models:Embedder", "embed", 5)
