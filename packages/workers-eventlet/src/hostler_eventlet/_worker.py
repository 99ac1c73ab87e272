"""The eventlet worker from accept to stop: the core's greenlet driver with what eventlet gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import eventlet
import eventlet.hubs
from eventlet import patcher
from hostler.drive import GreenDriver, Greens
from hostler.plugin import WorkerContext


def _greens() -> Greens:
    hub = eventlet.hubs.get_hub()

    def watch(descriptor: int, call: Callable[..., None]) -> Callable[[], Any]:
        listener = hub.add(hub.READ, descriptor, call, call, lambda: None)
        return lambda: hub.remove(listener)

    return Greens(
        hub=hub,
        current=eventlet.getcurrent,
        spawn=eventlet.spawn_n,
        watch=watch,
        after=lambda seconds, call: hub.schedule_call_global(seconds, call).cancel,
        make_lock=patcher.original("threading").Lock,
    )


def serve(ctx: WorkerContext, settings: Any) -> None:
    """Warn, load the application, say ready, serve until told to stop."""
    del settings
    ctx.log.error.warning(
        "the eventlet worker is deprecated, as eventlet itself is: move to --worker-class gevent or gthread"
    )
    driver = GreenDriver(ctx, ctx.load_app(), _greens())
    ctx.ready()
    driver.run()
