"""The `gthread` worker: one loop for all connections, threads for complete requests."""

from __future__ import annotations

from dataclasses import dataclass

from hostler.plugin import WorkerType
from hostler.settings import seconds, setting


@dataclass(frozen=True, slots=True)
class ThreadSettings:
    """The worker's own settings, `gthread_…`; `threads` and `worker_connections` are the core's."""

    queue_wait: float = setting(
        0.0,
        kind=seconds(),
        help="answer 503 with Retry-After to a request that waited longer for a thread; 0 lets it wait",
        section="gthread worker",
    )


worker = WorkerType(
    name="gthread",
    serve="hostler_gthread._worker:serve",
    summary="requests in threads, connections in one loop",
    settings=ThreadSettings,
    multiplexes=True,
    threaded=True,
)

__all__ = ["ThreadSettings", "worker"]
