"""The `sync` worker: one request at a time, any number of connections. This is all that a worker is."""

from __future__ import annotations

from typing import Any

from hostler._contexts import WorkerContext
from hostler._drive import Driver


def serve(ctx: WorkerContext, settings: Any) -> None:
    """Load the application, say ready, serve until told to stop."""
    del settings
    driver = Driver(ctx, ctx.load_app())
    ctx.ready()
    driver.run()
