"""Which plugins are installed here, and values named as `module:attribute`."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Any


def imported(name: str) -> Any:
    """What `module:attribute` names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def plugin_value(group: str, name: str) -> Any:
    """The value of an entry point, or of `module:attribute`."""
    if ":" in name:
        return imported(name)
    for found in entry_points(group=group, name=name):
        return found.load()
    raise LookupError(f"no entry point {name!r} in {group}")


def worker_type(name: str) -> Any:
    """The `WorkerType` behind a name."""
    return plugin_value("hostler.workers", name)


def worker_types() -> dict[str, Any]:
    """Every installed worker by the name of its entry point, `sync` first."""
    names = sorted(
        {found.name for found in entry_points(group="hostler.workers")}, key=lambda n: (n != "sync", n)
    )
    return {name: worker_type(name) for name in names}


def installed_workers(interface: str | None = None) -> list[str]:
    """Names of the installed workers that call applications of an interface (all without one)."""
    return [name for name, value in worker_types().items() if interface in (None, value.interface)]
