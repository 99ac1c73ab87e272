"""A user's own unit tests: the app runs in this process, values go through the real codec, no server is started."""

from __future__ import annotations

import asyncio

from hostler_dirty import get_dirty_client
from hostler_dirty.testing import inline

PATH = "chat:Chat"


def test_the_same_seed_says_the_same() -> None:
    with inline(PATH):
        one, other = (list(get_dirty_client().stream(PATH, "generate", "the worker", 8)) for _ in range(2))
    assert one == other
    assert len(one) == 8


def test_an_answer_goes_on_from_the_prompt() -> None:
    with inline(PATH):
        first = next(iter(get_dirty_client().stream(PATH, "generate", "it stops")))
    assert first == "the"


def test_words_for_asyncio() -> None:
    async def words() -> list[str]:
        return [word async for word in get_dirty_client().stream_async(PATH, "generate", "a", words=4)]

    with inline(PATH):
        assert len(asyncio.run(words())) == 4
