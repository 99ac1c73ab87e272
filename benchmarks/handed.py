"""A worker that hands every request to one of its threads, as gthread does only when it pays: what that costs."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

from hostler.drive import Exchange, SharedDriver
from hostler.plugin import WorkerContext, WorkerType


def serve(ctx: WorkerContext, settings: Any) -> None:
    """Load the application, say ready, serve until told to stop."""
    del settings
    inbox: SimpleQueue[Exchange] = SimpleQueue()
    driver = SharedDriver(ctx, ctx.load_app(), inbox.put)

    def work() -> None:
        while True:
            exchange = inbox.get()
            exchange.run()
            driver.complete(exchange)

    for _ in range(ctx.settings.threads):
        threading.Thread(target=work, daemon=True).start()
    ctx.ready()
    driver.run()


worker = WorkerType(
    name="handed",
    serve="handed:serve",
    summary="every request handed to a thread",
    multiplexes=True,
    threaded=True,
)
