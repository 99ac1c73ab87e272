"""Hooks across an exec: a function of the configuration is named here and found again in a worker.

A function that can be imported is named by module and name. One that was defined in a configuration file is
named by the file, which is then run again in the worker: such a hook must not lean on state of the arbiter.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from collections.abc import Callable
from typing import Any

from hostler_dirty.errors import DirtyConfigError


def name(function: Any) -> dict[str, str] | None:
    """Where the worker finds the function; None for None."""
    if function is None:
        return None
    if isinstance(function, str):
        module, _, attribute = function.replace(":", ".").rpartition(".")
        return {"module": module, "name": attribute}
    module, qualified = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    home = sys.modules.get(module or "")
    if home is not None and not module.startswith("__") and getattr(home, qualified, None) is function:
        return {"module": module, "name": qualified}
    code = getattr(function, "__code__", None)
    if code is None or "<" in code.co_filename or "<" in qualified:
        raise DirtyConfigError(
            f"dirty_worker_init: {function!r} cannot be found again in a worker: define it by `def` at the "
            "top of the configuration file or of a module"
        )
    return {"file": os.path.abspath(code.co_filename), "name": qualified}


def find(where: dict[str, str] | None) -> Callable[..., Any] | None:
    """The function that `name` named."""
    if where is None:
        return None
    if "file" in where:
        return runpy.run_path(where["file"])[where["name"]]  # type: ignore[no-any-return]
    found: Any = importlib.import_module(where["module"])
    for part in where["name"].split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def resolve(function: Any) -> Callable[..., Any] | None:
    """A hook of the settings as a callable: text names it as `module.attribute`."""
    return find(name(function)) if isinstance(function, str) else function
