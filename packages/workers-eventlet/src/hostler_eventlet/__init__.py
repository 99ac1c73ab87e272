"""The `eventlet` worker, deprecated from its birth: a greenlet of eventlet for each complete request."""

from __future__ import annotations

from hostler.plugin import WorkerType

worker = WorkerType(
    name="eventlet",
    serve="hostler_eventlet._worker:serve",
    prepare="hostler_eventlet._patch:prepare",
    summary="requests in greenlets of eventlet (deprecated: use gevent or gthread)",
    multiplexes=True,
    threaded=True,
)

__all__ = ["worker"]
