"""What the connections of one listener in one worker have in common."""

from __future__ import annotations

from hostler.http import Opening
from hostler.http._date import DateLine
from hostler.http1._head_reader import Readers
from hostler.http1._render import Renderer


class Shared:
    """Readers of heads and the renderer of answers, with what they remember. Made from the first opening."""

    __slots__ = ("readers", "renderer")

    def __init__(self, opening: Opening) -> None:
        self.readers = Readers(opening.limits, opening.policy)
        date = opening.shared.get("date") or DateLine()
        self.renderer = Renderer(opening.policy.server_header, date)
