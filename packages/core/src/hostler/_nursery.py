"""Forking children and keeping their number: back-off, replacements, surplus.

Everything here looks at the state as it is and makes one move towards what is wanted, so it may be called at
any time and any number of times. What a child does after its fork is `_child.py`'s affair.
"""

from __future__ import annotations

import math
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from hostler import _child, _signals
from hostler._birth import Birth, Closable
from hostler._children import SERVICE, WORKER, Child
from hostler._handles import WorkerHandle
from hostler._turn import nameless_file

if TYPE_CHECKING:
    from hostler._state import Plan, State
    from hostler._values import ServiceType

FIRST, LONGEST = 0.1, 10.0
"""Seconds of the second and of the longest delay before a restart; the first restart is immediate."""
JITTER = 0.2
HEALTHY = 30.0
"""Seconds in service after which a death says nothing about the next start."""
QUICK = 1.0
"""Seconds that a quick stop leaves a child."""


class Backoff:
    """When the next start may be tried: 0, 0.1, 0.2, 0.4 … 10 s after failures in a row."""

    __slots__ = ("failures", "next_at")

    def __init__(self) -> None:
        self.failures = 0
        self.next_at = 0.0

    def failed(self, now: float, healthy_for: float = 0.0) -> float:
        """A start failed, or a child died after it was healthy for so long; returns the delay."""
        if healthy_for >= HEALTHY:
            self.failures = 0
        self.failures += 1
        exponent = min(self.failures - 2, 20)
        delay = 0.0 if self.failures == 1 else min(LONGEST, FIRST * 2**exponent)
        delay *= 1.0 + random.uniform(0.0, JITTER)
        self.next_at = max(self.next_at, now + delay)
        return delay

    def reset(self) -> None:
        """The user changed something: try at once."""
        self.failures = 0
        self.next_at = 0.0

    def allows(self, now: float) -> bool:
        """A start may be tried."""
        return now >= self.next_at


class Nursery:
    """Forks children for one arbiter."""

    def __init__(self, state: State, private: Callable[[], Iterable[Closable]]) -> None:
        """`private` tells what the arbiter has open that no child may keep."""
        self._state = state
        self._private = private
        self.backoff = Backoff()
        self.services_ready: Callable[[], bool] = lambda: True
        """Whether workers may be started; at the first start they wait for the services."""

    # -- numbers ---------------------------------------------------------------------------------------

    def balance(self, now: float) -> None:
        """One move towards the wanted number of workers of the current generation."""
        state = self._state
        if state.stopping or not self.services_ready():
            return
        staying = state.children.staying(state.plan.generation)
        leaver = state.leaver if state.leaver in staying else None
        wanted = state.target + (leaver is not None)
        missing = wanted - len(staying)
        while missing > 0 and self.backoff.allows(now):
            if self.spawn_worker(state.plan) is None:
                return
            missing -= 1
        for child in staying[: max(0, -missing)]:
            self.stop(child, "graceful", "one worker too many")
        if (
            leaver is not None
            and sum(child.ready for child in staying if child is not leaver) >= state.target
        ):
            self.stop(leaver, "graceful", leaver.reason)

    def next_due(self) -> float:
        """When `balance` has something to do that it could not do now."""
        state = self._state
        if state.stopping or len(state.children.staying(state.plan.generation)) >= state.target:
            return math.inf
        return self.backoff.next_at

    # -- births ----------------------------------------------------------------------------------------

    def spawn_worker(self, plan: Plan) -> Child | None:
        """Fork a worker of this plan; None, logged and to be tried later, when that is not possible now."""
        state = self._state
        settings = plan.configuration.settings
        age = state.children.next_age(WORKER)
        slot = state.children.free_slot()
        sockets = [listener.socket for listener in plan.listeners]
        handle = WorkerHandle(age, slot, settings, plan.log.error, sockets)
        child = Child(
            WORKER, plan.configuration.worker.name, slot, age, plan.generation, time.monotonic(), handle
        )
        plan.hooks.call("pre_fork", state.server, handle)
        birth = self._birth(child, plan, settings.boot_timeout)
        if birth is None or not self._fork(birth, _child.run_worker):
            return None
        handle.pid = child.pid
        plan.log.error.info("%s started", child)
        return child

    def spawn_service(self, plan: Plan, service: ServiceType, run: Callable[[Birth], None]) -> Child | None:
        """Fork a service; None, logged and to be tried later, when that is not possible now."""
        children = self._state.children
        slot, age = children.free_slot(), children.next_age(SERVICE)
        child = Child(SERVICE, service.name, slot, age, plan.generation, time.monotonic(), None)
        birth = self._birth(child, plan, plan.configuration.settings.boot_timeout)
        if birth is None or not self._fork(birth, run):
            return None
        plan.log.error.info("%s started", child)
        return child

    def _birth(self, child: Child, plan: Plan, boot_timeout: float) -> Birth | None:
        state = self._state
        if child.slot < 0:
            self._failed(f"no room for another {child.kind}")
            return None
        try:
            child.stacks = nameless_file("stacks")
        except OSError as error:
            self._failed(f"cannot start a {child.kind}: {error.strerror}")
            return None
        deadline = child.started + boot_timeout if boot_timeout else math.inf
        state.page.clear(child.slot, deadline)
        state.page.used = max(state.page.used, child.slot + 1, state.children.highest_slot() + 1)
        return Birth(
            child,
            plan,
            state.page,
            state.turn,
            state.bell,
            os.getpid(),
            state.signals.wake,
            tuple(self._strange(child, plan)),
            state.server,
            plan.application,
            multiprocess=state.target > 1,
            first=not state.ready,
        )

    def _strange(self, child: Child, plan: Plan) -> Iterable[Closable]:
        """What this child must not keep of what it inherits."""
        yield from self._private()
        keep = {listener.socket for listener in plan.listeners} if child.kind == WORKER else set()
        yield from {listener.socket for listener in self._state.listeners()} - keep
        for other in self._state.children:
            yield Descriptor(other.stacks)
        for version in (self._state.plan, self._state.candidate):
            # A file that is rotated away must not stay open in a worker that writes to another.
            if version is not None and version.log is not plan.log:
                yield version.log
        for name, bound in plan.bound.items():
            if name != child.name:
                for hidden in bound.hidden:
                    yield Descriptor(bound.descriptors[hidden])

    def _fork(self, birth: Birth, run: Callable[[Birth], None]) -> bool:
        child = birth.child
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        with _signals.blocked():
            try:
                child.pid = os.fork()
            except OSError as error:
                os.close(child.stacks)
                self._failed(f"cannot fork: {error.strerror}")
                return False
            if child.pid == 0:
                run(birth)
        self._state.children.add(child)
        return True

    def _failed(self, why: str) -> None:
        delay = self.backoff.failed(time.monotonic())
        self._state.log.error("%s; trying again in %.1f s", why, delay)
        self._state.note(why)

    # -- ends ------------------------------------------------------------------------------------------

    def stop(self, child: Child, how: str, reason: str = "", budget: float | None = None) -> None:
        """Tell a child to end: `graceful` or `quick`. After its budget of seconds it is killed."""
        if child.stopping == how or child.stopping == "quick":
            return
        if budget is None:
            budget = self._state.settings.graceful_timeout
        child.stopping = how
        child.reason = reason or child.reason
        child.stop_by = time.monotonic() + (min(QUICK, budget) if how == "quick" else budget)
        if reason:
            self._state.log.info("%s leaves: %s", child, reason)
        signal_child(child, signal.SIGTERM if how == "graceful" else signal.SIGQUIT)


class Descriptor:
    """A bare descriptor with the face of a file."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def close(self) -> None:
        if self._number >= 0:
            os.close(self._number)


def signal_child(child: Child, number: int) -> None:
    """Signal a child of ours. Until it is reaped its pid belongs to nobody else, so this hits no stranger."""
    try:
        os.kill(child.pid, number)
    except ProcessLookupError:
        return
