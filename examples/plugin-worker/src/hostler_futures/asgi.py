"""The worker `hostler_futures.asgi:worker`, for ASGI applications. Light, as every module that holds a value.

It has no entry point, to show that a worker needs none: `--worker-class` and the kit take `module:VALUE`, too.
"""

from hostler.plugin import WorkerType

worker = WorkerType(
    name="futures-asgi",
    serve="hostler_futures._asgi:serve",
    summary="ASGI applications in an event loop behind threads that carry their requests",
    interface="asgi",
    multiplexes=True,
    threaded=True,
)

__all__ = ["worker"]
