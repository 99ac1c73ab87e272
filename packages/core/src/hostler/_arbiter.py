"""The arbiter: owns the listeners, forks workers and keeps them alive. It never touches a client.

One loop, no threads. Each turn takes the signals that came, reaps who ended, looks at the deadlines and makes
one move towards what is wanted; every step looks at the state as it is, so the order of events does not
matter. What a step does is in the file of its event: `_nursery`, `_deaths`, `_deadlines`.
"""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from hostler import _signals
from hostler._birth import Closable
from hostler._deadlines import Deadlines
from hostler._deaths import Deaths
from hostler._handles import ServerHandle
from hostler._hooks import HookTable
from hostler._listeners import open_listeners
from hostler._log import open_logger
from hostler._nursery import Descriptor, Nursery
from hostler._state import Plan, State

if TYPE_CHECKING:
    from hostler._configuration import Configuration

TICK = 1.0
"""Seconds that the loop sleeps at most."""


class Arbiter:
    """One server's arbiter, from its first plan to its last child."""

    def __init__(self, plan: Plan) -> None:
        self.state = State(plan, plan.configuration.settings.workers)
        self.state.server = ServerHandle(self.state)
        self._poll = selectors.PollSelector()
        self._watched: dict[int, Any] = {}
        self.nursery = Nursery(self.state, self._private)
        self.deaths = Deaths(self.state, self.nursery, self._give_up)
        self.deadlines = Deadlines(self.state)

    # -- the loop --------------------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until told to stop; the exit code."""
        state = self.state
        self.watch(state.signals, None)
        state.signals.install(_signals.ARBITER)
        self._changed_workers(state.target, None)
        while not self._turn():
            continue
        return state.exit_code

    def _turn(self) -> bool:
        """One round; True when everything has ended."""
        state = self.state
        now = time.monotonic()
        for number in state.signals.take():
            self._signal(number)
        self.deaths.reap()
        self.deadlines.look(now)
        self.nursery.balance(now)
        self._became_ready()
        if state.stopping and not len(state.children):
            return True
        due = min(self.deadlines.next_due(), self.nursery.next_due())
        self._sleep(max(0.0, min(TICK, due - time.monotonic())))
        return False

    def _sleep(self, seconds: float) -> None:
        before = time.monotonic()
        for key, mask in self._poll.select(seconds):
            if key.data is not None:
                key.data(mask)
        now = time.monotonic()
        if now - before > seconds + TICK:
            self.deadlines.held_up(now)

    def watch(
        self, thing: Any, ready: Callable[[int], None] | None, events: int = selectors.EVENT_READ
    ) -> None:
        """Call `ready(events)` from the loop when a file or socket of the arbiter's is; it must not block.

        Children close it after their fork.
        """
        descriptor = thing.fileno()
        if descriptor in self._watched:
            self._poll.modify(descriptor, events, ready)
        else:
            self._poll.register(descriptor, events, ready)
        self._watched[descriptor] = thing

    def unwatch(self, thing: Any) -> None:
        """Forget it; call it before closing."""
        descriptor = thing.fileno()
        if self._watched.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def _private(self) -> Iterable[Closable]:
        for descriptor, thing in self._watched.items():
            yield Descriptor(descriptor) if thing is self.state.signals else thing

    # -- signals ---------------------------------------------------------------------------------------

    def _signal(self, number: int) -> None:
        state = self.state
        if number == signal.SIGTERM:
            self.stop(graceful=not state.stopping)
        elif number in (signal.SIGINT, signal.SIGQUIT):
            self.stop(graceful=False)
        elif number == signal.SIGTTIN:
            self.add_workers(1)
        elif number == signal.SIGTTOU:
            self.add_workers(-1)

    def stop(self, *, graceful: bool = True) -> None:
        """Begin to end, or end more quickly."""
        state = self.state
        how = "graceful" if graceful else "quick"
        if state.stopping == how:
            return
        state.stopping = how
        state.log.info("stopping (%s)", how)
        for child in state.children.workers():
            self.nursery.stop(child, how)

    def add_workers(self, count: int) -> None:
        """So many more workers, or fewer; at least one stays."""
        state = self.state
        before, state.target = state.target, max(1, state.target + count)
        if before != state.target:
            state.log.info("workers: %d", state.target)
            self._changed_workers(state.target, before)

    def _changed_workers(self, new: int, old: int | None) -> None:
        self.state.plan.hooks.call("nworkers_changed", self.state.server, new, old)

    def _give_up(self, code: int, why: str) -> None:
        state = self.state
        if not state.stopping:
            state.log.critical("the server did not start: %s", why)
            state.exit_code = code
            self.stop(graceful=False)

    def _became_ready(self) -> None:
        state = self.state
        if state.ready or state.stopping:
            return
        serving = sum(child.ready for child in state.children.staying(state.plan.generation))
        if serving >= state.target or (serving and self.nursery.backoff.failures):
            state.ready = True
            state.log.info("ready")
            state.plan.hooks.call("when_ready", state.server)


def run(configuration: Configuration) -> int:
    """Run a server of this configuration until it is told to stop; returns the command's exit code."""
    log = open_logger(configuration)
    hooks = HookTable(configuration.settings, log.error)
    listeners = open_listeners(configuration)
    arbiter = Arbiter(Plan(1, configuration, tuple(listeners), log, hooks))
    state = arbiter.state
    hooks.call("on_starting", state.server)
    for listener in listeners:
        log.error.info("listening at %s", listener.name)
    try:
        return arbiter.run()
    finally:
        for listener in state.plan.listeners:
            listener.close(unlink=True)
        state.plan.hooks.call("on_exit", state.server)
        state.plan.log.close()
