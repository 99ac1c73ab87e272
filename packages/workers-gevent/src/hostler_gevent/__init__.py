"""The `gevent` worker: one loop for all connections, a greenlet for each complete request."""

from __future__ import annotations

from hostler.plugin import WorkerType

worker = WorkerType(
    name="gevent",
    serve="hostler_gevent._worker:serve",
    prepare="hostler_gevent._patch:prepare",
    summary="requests in greenlets of gevent",
    multiplexes=True,
    threaded=True,
)

__all__ = ["worker"]
