"""What hooks get as `server` and `worker`: objects with the attributes that gunicorn's users know.

They only show what the arbiter and the worker already are; nothing inside the server reads them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from hostler._configuration import Configuration
    from hostler._contexts import WorkerContext
    from hostler._state import Plan, State
    from hostler.settings import Settings


class Everything:
    """All settings under their full names, the plugins' among them: `cfg.workers`, `cfg.dirty_workers`."""

    __slots__ = ("_configuration",)

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def __getattr__(self, name: str) -> Any:
        for one in self._configuration.names:
            if one.plugin and one.full == name:
                return getattr(self._configuration.own[one.plugin], one.field)
        return getattr(self._configuration.settings, name)


class ServerHandle:
    """The arbiter, as hooks see it."""

    __slots__ = ("_state", "pid")

    def __init__(self, state: State) -> None:
        self._state = state
        self.pid = os.getpid()

    @property
    def _plan(self) -> Plan:
        """In the hooks of a reload the new plan, which is not in force yet."""
        return self._state.candidate or self._state.plan

    @property
    def _settings(self) -> Settings:
        return self._plan.configuration.settings

    @property
    def cfg(self) -> Any:
        return Everything(self._plan.configuration)

    @property
    def log(self) -> logging.Logger:
        return self._state.log

    @property
    def address(self) -> list[Any]:
        """What is listened on: (host, port) pairs and paths of Unix sockets."""
        return [one.address[0] if one.unix else one.address for one in self._plan.listeners]

    @property
    def LISTENERS(self) -> Sequence[Any]:
        return self._plan.listeners

    @property
    def WORKERS(self) -> dict[int, Any]:
        """pid -> worker."""
        return {child.pid: child.handle for child in self._state.children.workers()}

    @property
    def num_workers(self) -> int:
        return self._state.target

    @num_workers.setter
    def num_workers(self, count: int) -> None:
        self._state.target = max(0, count)

    @property
    def worker_age(self) -> int:
        return self._state.children.age("worker")

    @property
    def worker_class(self) -> Any:
        return self._plan.configuration.worker

    @property
    def timeout(self) -> float:
        return self._settings.timeout

    @property
    def proc_name(self) -> str:
        return self._settings.proc_name or self._settings.default_proc_name

    @property
    def pidfile(self) -> str | None:
        return self._settings.pidfile

    @property
    def app(self) -> Any:
        """The application, where it was loaded before the workers were forked; else None."""
        return self._plan.application


class WorkerHandle:
    """A worker, as hooks see it, on both sides of the fork."""

    def __init__(
        self, age: int, slot: int, settings: Settings, log: logging.Logger, sockets: Sequence[Any]
    ) -> None:
        self.age = age
        self.slot = slot
        self.pid: Any = "[booting]"
        self.ppid = os.getpid()
        self.cfg = settings
        self.log = log
        self.sockets = list(sockets)
        self.timeout = settings.timeout
        self.booted = False
        self.aborted = False
        self.app: Any = None
        self.wsgi: Any = None
        self.context: WorkerContext | None = None

    @property
    def alive(self) -> bool:
        """False once it was told to stop."""
        return self.context is None or not self.context.stopping

    @property
    def nr(self) -> int:
        """Requests served so far (in the worker itself)."""
        return 0 if self.context is None else self.context.status.requests

    @property
    def max_requests(self) -> int:
        return self.cfg.max_requests

    def notify(self) -> None:
        """Renew the deadline by which the worker must give its next sign of life."""
        if self.context is not None:
            self.context.beat()

    def __str__(self) -> str:
        return f"<Worker {self.pid}>"
