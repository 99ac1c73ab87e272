"""A service's view of its process: the contract `ServiceContext`, made in the child after the fork."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import tempfile
from typing import TYPE_CHECKING, Any

from hostler import _signals
from hostler._contexts import Bound
from hostler._worker_context import ChildContext

if TYPE_CHECKING:
    from hostler._birth import Birth
    from hostler.settings import Settings


class Service(ChildContext):
    """Implements `ServiceContext`."""

    def __init__(self, birth: Birth, signals: _signals.SignalQueue) -> None:
        super().__init__(birth, signals)
        self.bound: Bound = birth.plan.bound.get(birth.child.name, Bound())
        self.log: logging.Logger = birth.plan.log.error
        self.reloading = False
        self._beats = False

    def ready(self, status: str = "") -> None:
        """The service can be used."""
        if status:
            self.report(status)
        if not self.booted:
            # A service that never beats is not watched: its deadline is past with the boot's.
            self._page.deadline[self.slot] = float("inf")
            self._tell_ready()

    def report(self, status: str) -> None:
        """One line for the status."""
        self._page.say(self.slot, status)

    def measure(self, name: str, value: float, kind: str = "gauge") -> None:
        """A figure for loggers that send some."""
        self._birth.plan.log.measure(name, value, kind)

    def beat(self) -> None:
        """Alive. From the first call on, the next one is due within `timeout`."""
        self._beats = True
        super().beat()

    def _mark(self) -> None:
        if self._beats:
            super()._mark()

    def reread(self) -> Any:
        """After a HUP: read the sources anew. Renews `settings`; returns the service's own.

        Raises `HostlerError` for what is wrong in them; then nothing has changed.
        """
        configuration = self._birth.plan.configuration.rebuild()
        self.settings = configuration.settings
        return configuration.own.get(self._birth.child.name)

    def _act(self, number: int) -> None:
        if number == signal.SIGHUP:
            self.reloading = True
        super()._act(number)

    def fork_reset(self) -> None:
        """In a child that the service forks: its signals and descriptors are the service's no more."""
        _signals.reset(
            (*_signals.ARBITER, signal.SIGABRT),
            signal.SIG_DFL,
        )
        faulthandler.unregister(_signals.STACKS)
        self._signals.close()
        with contextlib.suppress(OSError):
            os.close(self._birth.child.stacks)


class Setup:
    """Implements `ServiceSetup`, in the arbiter."""

    def __init__(self, settings: Settings, log: logging.Logger) -> None:
        self.settings = settings
        self.log = log
        self.directory = ""
        """The private directory, once somebody asked for it."""

    def runtime_directory(self) -> str:
        """A private directory of this server, removed at its end."""
        if not self.directory:
            self.directory = tempfile.mkdtemp(prefix="hostler-")
            if os.geteuid() == 0 and (self.settings.user is not None or self.settings.group is not None):
                user = -1 if self.settings.user is None else self.settings.user
                group = -1 if self.settings.group is None else self.settings.group
                os.chown(self.directory, user, group)
        return self.directory
