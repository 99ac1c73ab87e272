"""The eventlet worker from accept to stop: the core's greenlet driver with what eventlet gives it."""

from __future__ import annotations

from typing import Any

import eventlet
import eventlet.hubs
from eventlet import patcher
from hostler.drive import GreenDriver, Greens
from hostler.plugin import WorkerContext


def _wait_readable(descriptor: int, seconds: float) -> None:
    try:
        eventlet.hubs.trampoline(descriptor, read=True, timeout=seconds)
    except eventlet.Timeout:
        return


def serve(ctx: WorkerContext, settings: Any) -> None:
    """Warn, load the application, say ready, serve until told to stop."""
    del settings
    ctx.log.error.warning(
        "the eventlet worker is deprecated, as eventlet itself is: move to --worker-class gevent or gthread"
    )
    greens = Greens(
        spawn=eventlet.spawn_n,
        wait_readable=_wait_readable,
        rest=lambda: eventlet.sleep(0),
        make_lock=patcher.original("threading").Lock,
    )
    driver = GreenDriver(ctx, ctx.load_app(), greens)
    ctx.ready()
    driver.run()
