"""A dirty app for the suite of services."""

from __future__ import annotations

from hostler_dirty import DirtyApp


class Adder(DirtyApp):
    """Adds."""

    def add(self, one: int, other: int) -> int:
        """The sum."""
        return one + other
