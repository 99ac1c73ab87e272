"""A caller's view of an app, as a typed client wants it."""

from __future__ import annotations


class Echo:
    def add(self, a: int, b: int = 0) -> int:
        raise NotImplementedError

    def count_to(self, n: int):
        yield from ()


Echo.__module__ = "pool_apps"
