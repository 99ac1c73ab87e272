"""The hooks of the settings: found, checked for their number of arguments, and called behind a wall.

What a hook raises is logged with its traceback and goes no further: a hook never ends the arbiter or a
worker. The one exception is `pre_request`, whose error belongs to its request. Refuses to know when hooks
are called and what their arguments are.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hostler.errors import ConfigError

if TYPE_CHECKING:
    from hostler.settings import Settings

ARITIES: Mapping[str, tuple[int, ...]] = {
    "on_starting": (1,),
    "on_reload": (1,),
    "when_ready": (1,),
    "pre_fork": (2,),
    "post_fork": (2,),
    "post_worker_init": (1,),
    "worker_int": (1,),
    "worker_abort": (1,),
    "pre_exec": (1,),
    "pre_request": (2,),
    "post_request": (4, 3, 2),
    "child_exit": (2,),
    "worker_exit": (2,),
    "nworkers_changed": (3,),
    "on_exit": (1,),
}
"""How many arguments each hook is given; the first number that its signature takes counts."""


class HookTable:
    """The hooks that a configuration has."""

    def __init__(self, settings: Settings, log: logging.Logger) -> None:
        """Raises `ConfigError` for a hook that is not there or cannot take its arguments."""
        self._log = log
        self._hooks: dict[str, tuple[Callable[..., Any], int]] = {}
        for name, arities in ARITIES.items():
            value = getattr(settings, name)
            if value is not None:
                function = _find(name, value)
                self._hooks[name] = (function, _arity(name, function, arities))

    def has(self, name: str) -> bool:
        """The user set this hook."""
        return name in self._hooks

    def call(self, name: str, *arguments: Any) -> None:
        """Call a hook if there is one; what it raises is logged."""
        found = self._hooks.get(name)
        if found is None:
            return
        try:
            found[0](*arguments[: found[1]])
        except (Exception, SystemExit):  # noqa: BLE001 - the wall around a hook
            self._log.exception("hook %s failed", name)

    def call_open(self, name: str, *arguments: Any) -> None:
        """Call a hook if there is one; what it raises goes to the caller."""
        found = self._hooks.get(name)
        if found is not None:
            found[0](*arguments[: found[1]])


def _find(name: str, value: Any) -> Callable[..., Any]:
    """The function itself, or what a text `module.attribute` names."""
    if isinstance(value, str):
        module, _, attribute = value.replace(":", ".").rpartition(".")
        try:
            value = getattr(importlib.import_module(module), attribute)
        except (ImportError, ValueError, AttributeError) as error:
            raise ConfigError(f"{name}: {value!r} cannot be found: {error}") from None
    if not callable(value):
        raise ConfigError(f"{name}: {value!r} is not a function")
    return value  # type: ignore[no-any-return]  # callable, as was just seen


def _arity(name: str, function: Callable[..., Any], arities: tuple[int, ...]) -> int:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return arities[0]
    for count in arities:
        try:
            signature.bind(*[None] * count)
        except TypeError:
            continue
        return count
    wanted = " or ".join(str(count) for count in sorted(arities))
    raise ConfigError(f"{name}: the function must take {wanted} argument(s), not {signature}")
