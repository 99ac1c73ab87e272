"""Services: supervised processes that serve no HTTP. Started before the workers, stopped after them.

Their descriptors are made once, by `bind`, and live across restarts of the service; workers inherit what is
not hidden from them. Deadlines, back-off and reaping are those of any child.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hostler import _child
from hostler._children import Child
from hostler._contexts import Bound
from hostler._named import named
from hostler._nursery import Backoff, Nursery, signal_child
from hostler._service_context import Setup
from hostler._values import ServiceType

if TYPE_CHECKING:
    from collections.abc import Callable

    from hostler._configuration import Configuration
    from hostler._state import Plan, State

ATTEMPTS = 5
"""Failures in a row, before it was ever ready, after which a service ends the first start."""


class Services:
    """The services of one arbiter."""

    def __init__(self, state: State, nursery: Nursery, give_up: Callable[[int, str], None]) -> None:
        self._state = state
        self._nursery = nursery
        self._give_up = give_up
        self._backoffs: dict[str, Backoff] = {}
        self._setup: Setup | None = None

    # -- descriptors -----------------------------------------------------------------------------------

    def bind(self, configuration: Configuration, before: Mapping[str, Bound], log: Any) -> dict[str, Bound]:
        """What each wanted service's `bind` makes; what was made before is kept. Raises what a `bind` raises."""
        if self._setup is None:
            self._setup = Setup(configuration.settings, log)
        made: dict[str, Bound] = {}
        for service in configuration.services:
            if service.name in before:
                made[service.name] = before[service.name]
            elif service.bind:
                made[service.name] = named(service.bind)(configuration.own.get(service.name), self._setup)
            else:
                made[service.name] = Bound()
        return made

    def release(self, before: Mapping[str, Bound], kept: Mapping[str, Bound]) -> None:
        """Close what of `before` is not kept; a service that still runs has its own copies."""
        for name, bound in before.items():
            if name not in kept:
                for descriptor in bound.descriptors.values():
                    os.close(descriptor)

    def close(self) -> None:
        """At the server's end: descriptors and the private directory."""
        self.release(self._state.plan.bound, {})
        if self._setup is not None and self._setup.directory:
            shutil.rmtree(self._setup.directory, ignore_errors=True)

    # -- lives -----------------------------------------------------------------------------------------

    def balance(self, now: float) -> None:
        """Start what is wanted and does not run."""
        state = self._state
        if state.stopping:
            return
        running = {child.name for child in state.children.services() if not child.stopping}
        for service in supervised(state.plan):
            backoff = self._backoffs.setdefault(service.name, Backoff())
            if service.name not in running and backoff.allows(now):
                self._nursery.spawn_service(state.plan, service, _child.run_service)

    def all_ready(self) -> bool:
        """Workers may be started."""
        ready = {child.name for child in self._state.children.services() if child.ready}
        return all(service.name in ready for service in supervised(self._state.plan))

    def next_due(self) -> float:
        """When `balance` has something to do that it could not do now."""
        state = self._state
        if state.stopping:
            return math.inf
        running = {child.name for child in state.children.services() if not child.stopping}
        missing = [service.name for service in supervised(state.plan) if service.name not in running]
        return min(
            (self._backoffs[name].next_at for name in missing if name in self._backoffs), default=math.inf
        )

    def died(self, child: Child, how: str) -> None:
        """A child ended."""
        if child.kind != "service" or child.stopping or self._state.stopping:
            return
        code, reason = child.refusal
        if reason and not self._state.ready:
            self._give_up(code, f"the service {child.name} could not start: {reason}")
            return
        now = time.monotonic()
        backoff = self._backoffs.setdefault(child.name, Backoff())
        delay = backoff.failed(now, now - child.ready_at if child.ready else 0.0)
        self._state.log.warning("service=%s starts again in %.1f s", child.name, delay)
        if not self._state.ready and not child.ready and backoff.failures >= ATTEMPTS:
            self._give_up(3, f"the service {child.name} {how}")

    def reloaded(self, new: Plan, old: Plan) -> None:
        """A new plan is in force: end what it does not want, tell the others."""
        wanted = {service.name for service in supervised(new)}
        kept = {service.name for service in supervised(old)} & wanted
        for child in self._state.children.services():
            if child.name not in wanted:
                self._stop(child, old, "graceful", "no longer wanted")
            elif child.name in kept and not child.stopping:
                signal_child(child, signal.SIGHUP)
        self.release(old.bound, new.bound)

    def stop(self, how: str) -> None:
        """The workers have ended: end the services."""
        for child in self._state.children.services():
            self._stop(child, self._state.plan, how)

    def _stop(self, child: Child, plan: Plan, how: str, reason: str = "") -> None:
        self._nursery.stop(child, how, reason, stop_budget(child.name, plan))


def supervised(plan: Plan) -> list[ServiceType]:
    """The wanted services that have a process."""
    configuration = plan.configuration
    return [one for one in configuration.services if one.supervised(configuration.own.get(one.name))]


def stop_budget(name: str, plan: Plan) -> float:
    """Seconds that a service gets to stop."""
    configuration = plan.configuration
    service: ServiceType | None = next((one for one in configuration.services if one.name == name), None)
    if service is not None and service.stop_timeout:
        own = configuration.own.get(name)
        return float(getattr(own, service.stop_timeout, configuration.settings.graceful_timeout))
    return configuration.settings.graceful_timeout
