"""Apps for the dirty pool: an embedding service, a task queue, a streaming chat. No model is downloaded."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from typing import Any

from hostler_dirty import DirtyApp, action, current_call, stash

Vector = list[float]


class Embedder(DirtyApp):
    """Texts to vectors. Two workers hold the model; calls that come together run together."""

    workers = 2

    def init(self) -> None:
        time.sleep(0.5)  # here a real model would be loaded
        self.dimensions = 64

    def warmup(self) -> None:
        self._vector("warm")

    @action(batch=16, max_wait=0.005, idempotent=True)
    def embed(self, text: list[str]) -> list[Vector]:
        """Callers send one text each; the model sees a list."""
        return [self._vector(one) for one in text]

    def _vector(self, text: str) -> Vector:
        vector = [0.0] * self.dimensions
        for word in text.lower().split():
            digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
            vector[int.from_bytes(digest, "little") % self.dimensions] += 1.0
        length = math.sqrt(sum(x * x for x in vector)) or 1.0
        return [x / length for x in vector]


class Tasks(DirtyApp):
    """Jobs that outlive the request that began them only in their progress, which lies in the stash."""

    stashes = ["jobs"]  # noqa: RUF012
    timeout = 60.0

    def resize(self, job: str, steps: int) -> dict[str, Any]:
        """A slow job that tells how far it is and stops when nobody wants it any more."""
        call = current_call()
        for step in range(1, steps + 1):
            call.check()
            time.sleep(0.02)
            stash.put("jobs", job, {"done": step, "of": steps}, ttl=300)
        return {"job": job, "state": "finished"}


class Chat(DirtyApp):
    """Answers word by word."""

    def reply(self, prompt: str) -> Iterator[str]:
        for word in f"You said: {prompt} . I have nothing to add.".split():
            time.sleep(0.01)
            yield word + " "
