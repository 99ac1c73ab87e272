"""The arbiter: owns the listeners, forks workers and keeps them alive. It never touches a client.

One loop, no threads. Each turn takes the signals that came, reaps who ended, looks at the deadlines and makes
one move towards what is wanted; every step looks at the state as it is, so the order of events does not
matter:

    booting ── services ready ──► workers start ── all ready ──► serving ◄──► reloading
       │                               │                            │
       └── first start fails ──────────┴──────────► stopping ◄──────┘ TERM, INT, QUIT
                                                        │ workers, then services
                                                        ▼ ended

What a step does is in the file of its event: `_nursery` (births), `_deaths`, `_deadlines`, `_reloading`,
`_recycling`, `_services`, `_reexec`. What comes before and after the loop is in `_boot`.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from hostler._birth import Closable
from hostler._children import SERVICE, Child
from hostler._deadlines import Deadlines
from hostler._deaths import Deaths
from hostler._handles import ServerHandle
from hostler._nursery import Descriptor, Nursery, signal_child
from hostler._poll import PollSelector
from hostler._recycling import Recycling
from hostler._reexec import Upgrade
from hostler._reloading import Reload
from hostler._services import Services
from hostler._state import Plan, State
from hostler._systemd import Notifier

if TYPE_CHECKING:
    from hostler._configuration import Configuration

TICK = 1.0
"""Seconds that the loop sleeps at most."""
BUSY_TICK = 0.05
"""The same while a client of the control socket waits for an answer."""


class Arbiter:
    """One server's arbiter, from its first plan to its last child."""

    def __init__(self, plan: Plan, notifier: Notifier) -> None:
        self.state = state = State(plan, plan.configuration.settings.workers)
        state.server = ServerHandle(state)
        self.notifier = notifier
        self.failure = ""
        """Why the first start failed."""
        self.started: list[Callable[[], None]] = []
        """Called once, when the server is ready."""
        self.stopped: list[Callable[[], None]] = []
        """Called when the server begins to stop, and again when it hurries."""
        self.chores: list[Callable[[], bool]] = []
        """Called once a turn; True: call again soon."""
        self.private: list[Closable] = []
        """What else of the arbiter's no child may keep."""
        self._poll = PollSelector()
        self._watched: dict[int, Any] = {}
        self.nursery = Nursery(state, self._private)
        self.deaths = Deaths(state, self.nursery, self._give_up)
        self.deadlines = Deadlines(state)
        self.recycling = Recycling(state)
        self.services = Services(state, self.nursery, self._give_up)
        self.reloading = Reload(state, self.nursery, self.services, self._reload_told)
        start = plan.configuration.start
        assert start is not None
        self.upgrade = Upgrade(state, self.deaths, start, notifier.environment)
        self.deaths.listeners += [self.reloading.died, self.services.died]
        self.reloading.adopted.append(self.services.reloaded)
        self.nursery.services_ready = lambda: state.ready or self.services.all_ready()

    # -- the loop --------------------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until told to stop; the exit code."""
        state = self.state
        self.watch(state.signals, None)
        state.plan.hooks.call("nworkers_changed", state.server, state.target, None)
        again = False
        while True:
            try:
                if self._turn(again):
                    return state.exit_code
                again = any([chore() for chore in self.chores])
            except Exception:
                # Children are kept alive by this loop, so nothing short of a signal may end it.
                state.log.exception("the arbiter met an error; going on")
                time.sleep(TICK)

    def _turn(self, soon: bool) -> bool:
        """One round; True when everything has ended."""
        state = self.state
        due = min(self.deadlines.next_due(), self.nursery.next_due(), self.services.next_due())
        self._sleep(max(0.0, min(BUSY_TICK if soon else TICK, due - time.monotonic())))
        now = time.monotonic()
        numbers = state.signals.take()
        self.deaths.reap()
        self.deadlines.look(now)
        # Before the signals: who stops a server that answers has seen it ready, so its hook has to run.
        self._became_ready()
        for number in numbers:
            self._signal(number)
        self.recycling.look(now)
        self.reloading.step(now)
        self.services.balance(now)
        self.nursery.balance(now)
        self.notifier.beat(now)
        return bool(state.stopping) and self._ended()

    def _ended(self) -> bool:
        """While stopping: services end after the workers; True when nobody is left."""
        state = self.state
        if state.children.workers():
            return False
        self.services.stop(state.stopping)
        return not len(state.children)

    def _sleep(self, seconds: float) -> None:
        before = time.monotonic()
        for key, mask in self._poll.select(seconds):
            if key.data is not None:
                key.data(mask)
        now = time.monotonic()
        if now - before > seconds + TICK:
            self.deadlines.held_up(now)

    # -- descriptors of the arbiter's own --------------------------------------------------------------

    def watch(
        self, thing: Any, ready: Callable[[int], None] | None, events: int = selectors.EVENT_READ
    ) -> None:
        """Call `ready(events)` from the loop when the thing's descriptor is; it must not block.

        Children do not close it: put what can into `private`.
        """
        self._poll.register(thing.fileno(), events, ready)
        self._watched[thing.fileno()] = thing

    def unwatch(self, thing: Any) -> None:
        """Forget it; call it before closing."""
        self._watched.pop(thing.fileno(), None)
        self._poll.unregister(thing.fileno())

    def _private(self) -> Iterable[Closable]:
        yield Descriptor(self.state.signals.fileno())
        yield from self.private

    # -- signals ---------------------------------------------------------------------------------------

    def _signal(self, number: int) -> None:
        if number == signal.SIGTERM:
            self.stop(graceful=not self.state.stopping)
        elif number in (signal.SIGINT, signal.SIGQUIT):
            self.stop(graceful=False)
        elif number == signal.SIGHUP:
            self.request_reload()
        elif number == signal.SIGTTIN:
            self.add_workers(1)
        elif number == signal.SIGTTOU:
            self.add_workers(-1)
        elif number == signal.SIGUSR1:
            self.reopen_logs()
        elif number == signal.SIGUSR2 and not self.state.stopping:
            self.upgrade.begin()
        elif number == signal.SIGWINCH:
            self._send_workers_away()

    def request_reload(self) -> None:
        """HUP: reload, or once more after the reload that runs."""
        self.reloading.request()

    def stop(self, *, graceful: bool = True) -> None:
        """TERM, INT, QUIT: begin to end, or end more quickly."""
        state = self.state
        how = "graceful" if graceful else "quick"
        if state.stopping in (how, "quick"):
            return
        state.stopping = how
        state.log.info("stopping (%s)", how)
        # The manager has to know its new main process before this one goes.
        self.notifier.send(f"MAINPID={self.upgrade.pid}" if self.upgrade.pid else "STOPPING=1")
        self.reloading.abandon()
        for call in self.stopped:
            call()
        for child in state.children.workers():
            self.nursery.stop(child, how)
        if how == "quick" and not state.children.workers():
            self.services.stop(how)

    def add_workers(self, count: int) -> None:
        """TTIN, TTOU: so many more workers, or fewer; at least one stays."""
        state = self.state
        before, state.target = state.target, max(1, state.target + count)
        if before != state.target:
            state.log.info("workers: %d", state.target)
            state.note(f"workers: {state.target}")
            state.plan.hooks.call("nworkers_changed", state.server, state.target, before)

    def _send_workers_away(self) -> None:
        """WINCH: end the workers and keep the arbiter, for an upgrade that may be rolled back.

        A terminal sends the same signal when its window changes, so in the foreground it means nothing.
        """
        if self.state.settings.daemon or self.upgrade.pid or os.getppid() == 1:
            before, self.state.target = self.state.target, 0
            self.state.plan.hooks.call("nworkers_changed", self.state.server, 0, before)

    def reopen_logs(self) -> None:
        """USR1: open the log files anew, here and in every child."""
        self.state.plan.log.reopen()
        for child in self.state.children:
            if child.ready:
                signal_child(child, signal.SIGUSR1)

    # -- what the steps tell ---------------------------------------------------------------------------

    def _reload_told(self) -> None:
        result = self.reloading.result
        if result["state"] == "running":
            self.notifier.reloading()
            return
        failed = f"; reload failed: {result['reason']}" if result["state"] == "failed" else ""
        self.notifier.send("READY=1", f"STATUS={self.summary()}{failed}")

    def _give_up(self, code: int, why: str) -> None:
        state = self.state
        if not state.stopping:
            state.exit_code = code
            self.failure = why
            if state.settings.errorlog != "-":
                state.log.critical("the server did not start: %s", why)
            self.stop(graceful=False)

    def _became_ready(self) -> None:
        state = self.state
        if state.ready or state.stopping or not self.services.all_ready():
            return
        serving = sum(child.ready for child in state.children.staying(state.plan.generation))
        if serving >= state.target or (serving and self.nursery.backoff.failures):
            state.ready = True
            state.log.info("ready: %s", self.summary())
            state.note("ready")
            state.plan.hooks.call("when_ready", state.server)
            self.notifier.send("READY=1", f"STATUS={self.summary()}")
            for call in self.started:
                call()

    def summary(self) -> str:
        """One line about what runs."""
        state = self.state
        services = sum(child.kind == SERVICE for child in state.children)
        more = f", {services} service(s)" if services else ""
        return f"{state.target} worker(s){more}, generation {state.plan.generation}"


def run(configuration: Configuration) -> int:
    """Run a server of this configuration until it is told to stop; returns the command's exit code."""
    from hostler import _boot  # noqa: PLC0415 - `_boot` makes arbiters

    return _boot.run(configuration)


__all__ = ["Arbiter", "Child", "run"]
