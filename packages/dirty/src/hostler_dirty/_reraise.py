"""Exceptions of apps that callers see as themselves: found by name, made anew."""

from __future__ import annotations

import importlib
from typing import Any

from hostler_dirty.errors import restore


def restore_app_error(values: dict[str, Any]) -> BaseException:
    """The exception of the app if its class can be found here; otherwise DirtyAppError."""
    error = restore(values)
    module, _, name = str(values.get("error_type", "")).rpartition(".")
    try:
        found: Any = importlib.import_module(module or "builtins")
        for part in name.split("."):
            found = getattr(found, part)
        if isinstance(found, type) and issubclass(found, Exception):
            made: BaseException = found(*values.get("args", ()))
            made.__cause__ = error
            return made
    except (ImportError, AttributeError, TypeError, ValueError):
        return error
    return error
