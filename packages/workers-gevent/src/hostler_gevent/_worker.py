"""The gevent worker from accept to stop: the core's greenlet driver with what gevent gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
from gevent import monkey
from greenlet import greenlet
from hostler.drive import GreenDriver, Greens
from hostler.plugin import WorkerContext


def _greens() -> Greens:
    hub = gevent.get_hub()

    def started(watcher: Any, call: Callable[..., None]) -> Callable[[], Any]:
        watcher.start(call)
        end: Callable[[], Any] = watcher.close
        return end

    return Greens(
        hub=hub,
        current=gevent.getcurrent,
        spawn=gevent.spawn_raw,
        watch=lambda descriptor, call: started(hub.loop.io(descriptor, 1), call),
        after=lambda seconds, call: started(hub.loop.timer(seconds), call),
        make_lock=monkey.get_original("_thread", "allocate_lock"),
        make=lambda function: greenlet(function, hub),
        every_round=lambda call: started(hub.loop.prepare(), call),
    )


def serve(ctx: WorkerContext, settings: Any) -> None:
    """Load the application, say ready, serve until told to stop."""
    del settings
    driver = GreenDriver(ctx, ctx.load_app(), _greens())
    ctx.ready()
    driver.run()
