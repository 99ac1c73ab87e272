"""The app of the dirty pool: a very small language model that answers word by word."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from hostler_dirty import DirtyApp

TEXT = """
A server answers requests and a worker does the work. The worker holds the model and the model holds the words.
A request waits for a worker and the worker answers word by word. The words go to the client as they come and the
client reads the words as they come. A client that leaves stops the worker and the worker is free for a new request.
"""


class Chat(DirtyApp):
    """Which word follows which, learned once per worker."""

    def init(self) -> None:
        self.after: defaultdict[str, list[str]] = defaultdict(list)
        words = TEXT.lower().split()
        for word, follower in pairwise(words):
            self.after[word].append(follower)

    def generate(self, prompt: str, words: int = 20, seed: int = 0) -> Iterator[str]:
        """The answer, one word at a time, beginning after the last word of the prompt that it knows."""
        chance = random.Random(seed)
        known = [word for word in prompt.lower().split() if word in self.after]
        word = known[-1] if known else "the"
        for _ in range(words):
            followers = self.after.get(word)
            if not followers:
                return
            word = chance.choice(followers)
            time.sleep(0.01)  # a larger model takes longer
            yield word

    def close(self) -> None:
        self.after.clear()
