"""The app of the dirty pool: texts to vectors. Its model is a small one that needs no weights."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from hostler_dirty import DirtyApp

Vector = list[float]


class Model:
    """Words and their trigrams, hashed into a vector of length one. Here yours would stand."""

    dimensions = 256

    def encode(self, text: str) -> Vector:
        vector = [0.0] * self.dimensions
        for word in text.lower().split():
            padded = f" {word} "
            for part in [word, *(padded[i : i + 3] for i in range(len(padded) - 2))]:
                number = int.from_bytes(hashlib.blake2b(part.encode(), digest_size=4).digest(), "little")
                vector[number % self.dimensions] += 1.0 if number >> 31 else -1.0
        length = math.sqrt(sum(x * x for x in vector)) or 1.0
        return [x / length for x in vector]


class Embedder(DirtyApp):
    """Two workers of the pool hold the model."""

    workers = 2

    def init(self) -> None:
        self.model = Model()

    def embed(self, texts: list[str]) -> list[Vector]:
        """A vector for each text."""
        return [self.model.encode(text) for text in texts]

    def nearest(self, query: str, texts: list[str], top: int = 3) -> list[dict[str, Any]]:
        """The texts that are most like the query, best first."""
        wanted = self.model.encode(query)
        found = []
        for text in texts:
            score = sum(a * b for a, b in zip(wanted, self.model.encode(text), strict=True))
            found.append((round(score, 2), text))
        return [{"text": text, "score": score} for score, text in sorted(found, reverse=True)[:top]]

    def close(self) -> None:
        del self.model
