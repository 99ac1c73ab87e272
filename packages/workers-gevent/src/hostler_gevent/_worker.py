"""The gevent worker from accept to stop: the core's greenlet driver with what gevent gives it."""

from __future__ import annotations

from typing import Any

import gevent
from gevent import monkey
from hostler.drive import GreenDriver, Greens
from hostler.plugin import WorkerContext


def _waiter() -> Any:
    """A wait for one descriptor that keeps its watcher: the hub is told of the poller once."""
    watchers: dict[int, Any] = {}

    def wait_readable(descriptor: int, seconds: float) -> None:
        hub = gevent.get_hub()
        watcher = watchers.get(descriptor)
        if watcher is None:
            watcher = watchers[descriptor] = hub.loop.io(descriptor, 1)
        with gevent.Timeout(seconds, False):
            hub.wait(watcher)

    return wait_readable


def serve(ctx: WorkerContext, settings: Any) -> None:
    """Load the application, say ready, serve until told to stop."""
    del settings
    greens = Greens(
        spawn=gevent.spawn,
        wait_readable=_waiter(),
        rest=lambda: gevent.sleep(0),
        make_lock=monkey.get_original("_thread", "allocate_lock"),
    )
    driver = GreenDriver(ctx, ctx.load_app(), greens)
    ctx.ready()
    driver.run()
