"""A user's own unit tests: the app runs in this process, values go through the real codec, no server is started."""

from __future__ import annotations

import pytest
from hostler_dirty import DirtyAppError, get_dirty_client
from hostler_dirty.testing import inline

PATH = "embedder:Embedder"


def test_vectors_have_length_one() -> None:
    with inline(PATH):
        one, other = get_dirty_client().execute(PATH, "embed", ["a cat", "a dog"])
    assert sum(x * x for x in one) == pytest.approx(1.0)
    assert one != other


def test_the_nearest_text() -> None:
    with inline(PATH):
        (found,) = get_dirty_client().execute(PATH, "nearest", "cats", ["the tax", "a cat"], top=1)
    assert found["text"] == "a cat"


def test_an_argument_of_the_wrong_kind() -> None:
    with inline(PATH), pytest.raises(DirtyAppError, match="lower"):
        get_dirty_client().execute(PATH, "embed", [5])
