"""Opens connections: what those of one listener have in common is made with the first."""

from __future__ import annotations

from hostler.http import Opening
from hostler.http1._connection import Http1Connection
from hostler.http1._shared import Shared


def open_connection(opening: Opening) -> Http1Connection:
    """The connection for a socket just accepted.

    `opening.shared` keeps what connections with the same limits and policy have in common; a `DateLine` at
    its key `date` is used for the Date field (tests bring one with their own clock).
    """
    shared = opening.shared.get("http1")
    if shared is None:
        shared = opening.shared["http1"] = Shared(opening)
    return Http1Connection(opening, shared.readers.of(opening.transport), shared.renderer)
