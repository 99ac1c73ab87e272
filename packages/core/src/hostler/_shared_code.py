"""Code that is imported before the fork, so that all workers share its memory.

Only the core's own: what a plugin or an application imports is the child's matter (`preload_app` apart), and may
need a patched standard library, or fewer privileges, before it comes.
"""

from __future__ import annotations

import gc
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hostler._configuration import Configuration


def share(configuration: Configuration) -> None:
    """Import what every worker will, and keep the collector of each child from touching, and so copying, it."""
    worker = configuration.worker
    paths = [worker.serve, *(protocol.open for protocol in configuration.protocols)]
    modules = {path.partition(":")[0] for path in paths if path.startswith("hostler.")}
    if worker.interface == "wsgi":
        modules.add("hostler.drive")
    for module in sorted(modules):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
