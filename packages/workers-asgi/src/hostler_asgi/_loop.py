"""Which event loop a worker runs on. A further loop is one more name in `LOOPS`."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable

from hostler.errors import ConfigError


def _uvloop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
    return loop


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": _uvloop,
}


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    """A fresh loop; `auto` is uvloop when it can be imported."""
    if name == "auto":
        try:
            return LOOPS["uvloop"]()
        except ImportError:
            return LOOPS["asyncio"]()
    try:
        return LOOPS[name]()
    except ImportError:
        raise ConfigError(
            f"asgi_loop = '{name}': it is not installed; pip install 'hostler-asgi[{name}]', or use asgi_loop = 'auto'"
        ) from None
