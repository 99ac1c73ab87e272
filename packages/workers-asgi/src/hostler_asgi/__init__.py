"""ASGI worker for hostler: HTTP, WebSocket and lifespan.

This module holds only the worker's value and stays light: asyncio is imported in the worker's process.
"""

from hostler.plugin import WorkerType

from hostler_asgi._settings import AsgiSettings

worker = WorkerType(
    name="asgi",
    serve="hostler_asgi._worker:serve",
    summary="asyncio event loop for ASGI applications: HTTP, WebSocket, lifespan",
    interface="asgi",
    settings=AsgiSettings,
    multiplexes=True,
    tunnels=True,
)

__all__ = ["AsgiSettings", "worker"]
