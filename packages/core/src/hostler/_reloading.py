"""Reload (HUP): make before break. A new generation proves itself with one worker before any old one stops.

    idle ── request ──► proving ── the first new worker is ready ──► rolling ── all are ──► idle
                           │                                            │
                           └── it fails: the old plan stays in force    └── each new ready worker frees an old one

Whatever fails, the generation that serves goes on serving, and the status says what failed. Requests that
come while a reload runs are one more reload after it.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hostler import _app, _privileges
from hostler._child import prepare_environment
from hostler._children import Child
from hostler._heartbeat import CHANGED
from hostler._hooks import HookTable
from hostler._listeners import Inherited, OpenListener, open_listeners, unused
from hostler._log import open_logger
from hostler._state import Plan
from hostler.errors import HostlerError

if TYPE_CHECKING:
    from hostler._configuration import Configuration
    from hostler._nursery import Nursery
    from hostler._services import Services
    from hostler._state import State

IDLE, PROVING, ROLLING = "idle", "proving", "rolling"


class Reload:
    """The reloads of one arbiter."""

    def __init__(self, state: State, nursery: Nursery, services: Services, told: Callable[[], None]) -> None:
        """`services` bind what new ones need; `told()` is called when a reload begins and when it is over."""
        self._state = state
        self._nursery = nursery
        self._services = services
        self._told = told
        self.activated: tuple[Inherited, ...] = ()
        """The service manager's sockets, if the listeners are those."""
        self._prover: Child | None = None
        self._pending = False
        self.phase = IDLE
        self.over = 0
        """How many reloads have ended."""
        self.result: dict[str, Any] = {"state": "none", "reason": "", "generation": state.plan.generation}
        """What became of the last one: none, running, ok, or failed with its reason."""
        self.adopted: list[Callable[[Plan, Plan], None]] = []
        """Called as `(new, old)` when a new plan comes into force."""

    def request(self) -> None:
        """Reload now, or once more after the reload that runs."""
        if self._state.stopping:
            return
        if self.phase != IDLE:
            self._pending = True
            return
        self._begin()

    def step(self, now: float) -> None:
        """Go on as far as the workers allow."""
        del now
        self._look_for_changes()
        if self.phase == PROVING and self._prover is not None and self._prover.ready:
            self._adopt()
        if self.phase == ROLLING:
            self._roll()
        self._close_retired()

    def died(self, child: Child, how: str) -> None:
        """A child ended."""
        if child is self._prover and self.phase == PROVING:
            self._fail(f"the first worker of generation {child.generation} {how}")

    def abandon(self) -> None:
        """The server stops."""
        self._pending = False
        if self.phase == PROVING:
            self._drop_candidate()
        self.phase = IDLE

    # -- from the settings to the first worker ---------------------------------------------------------

    def _begin(self) -> None:
        state = self._state
        self.result = {"state": "running", "reason": "", "generation": state.plan.generation}
        state.log.info("reloading")
        self._told()
        try:
            state.candidate = self._plan(state.plan.configuration.rebuild())
        except HostlerError as error:
            self._fail(str(error))
            return
        except Exception as error:
            state.log.error("reload failed", exc_info=error)
            self._fail(f"{type(error).__name__}: {error}")
            return
        candidate = state.candidate
        for child in state.children:
            state.page.flags[child.slot] &= ~CHANGED
        candidate.hooks.call("on_reload", state.server)
        self.phase = PROVING
        if not candidate.configuration.settings.workers:
            self._adopt()
            return
        self._prover = self._nursery.spawn_worker(candidate)
        if self._prover is None:
            self._fail("no worker could be forked")

    def _plan(self, configuration: Configuration) -> Plan:
        """The next plan, with its listeners and logs open. Raises what is wrong with it, with nothing left open."""
        state = self._state
        settings = configuration.settings
        _privileges.check(_privileges.Identity(settings.user, settings.group, settings.initgroups))
        hooks = HookTable(settings, state.log)
        application = None
        if settings.preload_app:
            prepare_environment(settings)
            application = _app.load(settings)
        bound = self._services.bind(configuration, state.plan.bound, state.log)
        try:
            listeners = self._listen(configuration)
        except HostlerError:
            self._services.release(bound, state.plan.bound)
            raise
        try:
            log = open_logger(configuration)
        except HostlerError:
            self._services.release(bound, state.plan.bound)
            for listener in unused(state.plan.listeners, listeners):
                listener.close(unlink=True)
            raise
        for warning in configuration.warnings:
            log.error.warning("%s", warning)
        generation = state.plan.generation + 1
        return Plan(generation, configuration, listeners, log, hooks, bound, application)

    def _listen(self, configuration: Configuration) -> tuple[OpenListener, ...]:
        return tuple(
            open_listeners(
                configuration,
                self.activated,
                activated=bool(self.activated),
                current=self._state.plan.listeners,
                attempts=1,
            )
        )

    # -- from the first worker to the last -------------------------------------------------------------

    def _adopt(self) -> None:
        state = self._state
        candidate, old = state.candidate, state.plan
        assert candidate is not None
        state.plan, state.candidate, self._prover = candidate, None, None
        state.retired += unused(candidate.listeners, old.listeners)
        self._tell_listeners(old)
        before, state.target = state.target, candidate.configuration.settings.workers
        if before != state.target:
            candidate.hooks.call("nworkers_changed", state.server, state.target, before)
        self._nursery.backoff.reset()
        state.leaver = None
        self.phase = ROLLING
        for listener in self.adopted:
            listener(candidate, old)
        # Children of the old generation have their own copies of its files.
        old.log.close()

    def _tell_listeners(self, old: Plan) -> None:
        known = {listener.name for listener in old.listeners}
        for listener in self._state.plan.listeners:
            if listener.name not in known:
                self._state.log.info("listening at %s", listener.name)

    def _roll(self) -> None:
        state = self._state
        generation = state.plan.generation
        serving = sum(child.ready for child in state.children.staying(generation))
        old = [
            child
            for child in state.children.workers()
            if child.generation < generation and not child.stopping
        ]
        for child in old[: max(0, len(old) - max(0, state.target - serving))]:
            self._nursery.stop(child, "graceful", f"generation {generation} serves")
        if serving >= state.target:
            self.result = {"state": "ok", "reason": "", "generation": generation}
            state.log.info("reloaded: generation %d serves", generation)
            state.note(f"reloaded: generation {generation}")
            self._finish()

    def _old_workers(self) -> list[Child]:
        """Those of older generations that were not told to stop."""
        generation = self._state.plan.generation
        workers = self._state.children.workers()
        return [child for child in workers if child.generation < generation and not child.stopping]

    def _close_retired(self) -> None:
        state = self._state
        if state.retired and not self._old_workers():
            for listener in state.retired:
                state.log.info("no longer listening at %s", listener.name)
                listener.close(unlink=True)
            state.retired.clear()

    # -- failure ---------------------------------------------------------------------------------------

    def _fail(self, why: str) -> None:
        state = self._state
        self._drop_candidate()
        generation = state.plan.generation
        self.result = {"state": "failed", "reason": why, "generation": generation}
        state.log.error("reload failed: %s; generation %d serves on", why, generation)
        state.note(f"reload failed: {why}")
        self._finish()

    def _drop_candidate(self) -> None:
        state = self._state
        candidate, state.candidate = state.candidate, None
        if self._prover is not None:
            self._nursery.stop(self._prover, "quick")
            self._prover = None
        if candidate is None:
            return
        self._services.release(candidate.bound, state.plan.bound)
        for listener in unused(state.plan.listeners, candidate.listeners):
            listener.close(unlink=True)
        self._log_as_before(candidate)

    def _log_as_before(self, candidate: Plan) -> None:
        """The error log went to where the candidate wanted it."""
        state = self._state
        before = state.plan.log
        try:
            state.plan = dataclasses.replace(state.plan, log=open_logger(state.plan.configuration))
        except HostlerError as error:
            logging.getLogger("hostler.error").error("the log cannot be put back: %s", error)
        else:
            before.close()
            candidate.log.close()

    def _finish(self) -> None:
        self.phase = IDLE
        self.over += 1
        self.result["at"] = time.time()
        self._told()
        if self._pending:
            self._pending = False
            self.request()

    # -- development -----------------------------------------------------------------------------------

    def _look_for_changes(self) -> None:
        """`reload`: workers that saw a source file change."""
        state = self._state
        current = state.candidate or state.plan
        if not current.configuration.settings.reload:
            return
        for child in state.children.workers():
            if state.page.flags[child.slot] & CHANGED:
                state.page.flags[child.slot] &= ~CHANGED
                # Of older generations it is known already: their successors are on the way.
                if child.generation == current.generation:
                    self.request()
