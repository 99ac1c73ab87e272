"""What an HTTP worker does to be a caller of the pool. It imports nothing else of this package's service."""

from __future__ import annotations

from hostler.plugin import Bound, WorkerContext

from hostler_dirty import _place
from hostler_dirty._settings import DirtySettings


def connect(settings: DirtySettings, bound: Bound) -> None:
    """This worker may call the pool, which needs no backend: its callers are the clients' own way."""
    _place.join(bound.descriptors["ring"], settings.timeout, settings.max_payload)


def attend(ctx: WorkerContext) -> None:
    """A call that the worker's main thread waits for is no hang of the worker."""
    _place.HERE.keep_alive = ctx.beat
