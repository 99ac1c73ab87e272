"""`package.module:attribute` -> the object: how a plugin's value names its code."""

from __future__ import annotations

import importlib
from typing import Any

from hostler.errors import PluginError


def named(path: str) -> Any:
    """Import what a dotted path names. Raises `PluginError` for a path that leads nowhere.

    An error inside the module itself passes as it is: its traceback is what the user needs.
    """
    module, _, attributes = path.partition(":")
    found: Any = importlib.import_module(module)
    try:
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except AttributeError:
        raise PluginError(f"{path}: the module {module} has no {attributes!r}") from None
    return found
