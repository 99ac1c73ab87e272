"""The `sync` worker as a value; `_sync_serve.py` is its code, imported in the child that runs it."""

from __future__ import annotations

from hostler._values import WorkerType

worker = WorkerType(
    name="sync",
    serve="hostler._sync_serve:serve",
    summary="one request at a time, keep-alive connections in one loop",
)
