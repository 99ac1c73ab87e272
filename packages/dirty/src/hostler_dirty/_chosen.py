"""The service `dirty`, on behalf of the executor that the setting `dirty_executor` names. It knows none of them."""

from __future__ import annotations

import atexit
import dataclasses
from collections.abc import Sequence
from typing import Any

from hostler.errors import BootError, ConfigError, HostlerError
from hostler.plugin import Bound, ServiceContext, ServiceSetup

from hostler_dirty import _place, _placement, codecs, executors
from hostler_dirty._settings import DirtySettings
from hostler_dirty.errors import DirtyConfigError

CHOSEN = "executor"
"""Under this name `Bound.values` keeps which executor the server has."""


def supervised(settings: DirtySettings) -> bool:
    """Whether the executor has a process of its own."""
    return bool(executors.find(settings.executor).serve)


def validate(settings: DirtySettings) -> None:
    """Before any fork: the executor, the default codec, the specs, and what the executor says. Raises ConfigError."""
    try:
        executor = executors.find(settings.executor)
        codecs.check_default(settings.codec)
        _placement.parse_all(settings.apps, settings.workers)
        if settings.bind and not executor.serve:
            raise DirtyConfigError(
                f"dirty_bind: the executor {settings.executor} has no process that could answer there"
            )
        if executor.validate:
            executor.load("validate")(settings)
    except DirtyConfigError as error:
        raise ConfigError(error.message) from None


def bind(settings: DirtySettings, setup: ServiceSetup) -> Bound:
    """What the executor makes, and its name."""
    executor = executors.find(settings.executor)
    bound = executor.load("bind")(settings, setup) if executor.bind else Bound()
    return dataclasses.replace(bound, values={**bound.values, CHOSEN: settings.executor})


def serve(ctx: ServiceContext, settings: DirtySettings) -> None:
    """The life of the executor's process."""
    executors.find(settings.executor).load("serve")(ctx, settings)


def join(settings: DirtySettings, bound: Bound) -> None:
    """In an HTTP worker: its calls go to the executor from now on."""
    chosen = bound.values[CHOSEN]
    if chosen != settings.executor:
        raise BootError(
            f"dirty_executor changes with a restart only: it is {chosen}, not {settings.executor}"
        )
    try:
        backend = executors.find(chosen).load("connect")(settings, bound)
    except DirtyConfigError as error:
        raise BootError(error.message) from None
    if backend is not None:  # None: the pool's own callers
        _place.enter(backend, settings.timeout, settings.max_payload)
        atexit.register(backend.close)


def control(settings: DirtySettings, bound: Bound, words: Sequence[str]) -> dict[str, Any]:
    """What the executor answers to one command."""
    executor = executors.find(bound.values[CHOSEN])
    if not executor.control:
        raise HostlerError(f"the dirty executor {executor.name} has no commands")
    return executor.load("control")(settings, bound, words)  # type: ignore[no-any-return]
