"""Errors of the request tower: what a peer did wrong, and what an application did wrong."""

from __future__ import annotations


class ProtocolError(Exception):
    """A peer broke the protocol. Knows its status, its kind for the log, and whether an answer is due.

    Never crosses the seam: a connection catches its own and queues the answer.
    """

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.kind = kind
        self.reason = reason


class ResponseError(ValueError):
    """The application asked for a response that cannot be sent (bad field, second start, data before start)."""
