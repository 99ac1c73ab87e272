"""The threads of one worker, and who of them leads the loop.

A hand-over to another thread costs several times what a small request does, so it is made only when it pays:

    main leads      while there is more to do than the other runners can: requests go to the runners
    a runner leads  else: it runs quick requests itself (`_paces` tells which are), between two looks at the sockets

    main ──(now and then, to try)──▶ runner
    main ◀──(no runner is free, a request takes longer than TAKE_OVER, the worker is to stop)── runner

Whether requests are quick shows only where they run alone (beside others each waits for the interpreter), so the
lead is tried, and tried more seldom the more often it fails (`_trials`).

The main thread never runs a request: it keeps watch, takes the loop back from a leader that is held by its request
(which goes on as an ordinary runner's), and is there for signals. So no connection ever waits for an application
but for want of a free thread.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from queue import Empty, SimpleQueue

from hostler.drive import Exchange, SharedDriver
from hostler.plugin import WorkerContext

from hostler_gthread._paces import Paces
from hostler_gthread._trials import Trials

TAKE_OVER = 0.005
"""Seconds that a leader may be held by a request before the main thread takes the loop from it."""
ASLEEP = 0.5
"""Seconds that the main thread sleeps at most while nothing is going on."""
SETTLED = 64
"""Requests of a new leader that are not judged."""
QUIET = 20
"""Looks in a row at a leader that took no request before the main thread sleeps until it takes one."""
HELD = 0.02
"""Seconds after which a request counts as one that will take long."""
QUEUE_LOOK = 0.1
"""Seconds between two looks for requests that have waited too long for a thread."""
MAIN = 0
NOBODY = -1
"""The lead was offered; the runner that takes the word becomes the leader."""


class Runner:
    """What one thread is doing."""

    __slots__ = ("done", "exchange", "since", "told")

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.since = 0.0
        self.told = False
        self.done = 0
        """Requests from the inbox."""


class Crew:
    """`threads` runners beside the main thread."""

    def __init__(self, context: WorkerContext, *, threads: int, queue_wait: float) -> None:
        self._context = context
        self._count = max(1, threads)
        self._queue_wait = queue_wait
        self._inbox: SimpleQueue[tuple[float, Exchange] | str | None] = SimpleQueue()
        self._runners: dict[int, Runner] = {}
        self._leader = MAIN
        self._mutex = threading.Lock()
        self._attention = threading.Event()
        self._asleep = False
        self._taken = self._seen = self._quiet = self._first = 0
        self._paces = Paces()
        self._handed = self._turned_away = 0
        self._trials = Trials()
        self._driver: SharedDriver | None = None

    def start(self, driver: SharedDriver) -> None:
        """Start the threads; they wait for work."""
        self._driver = driver
        driver.saturated = self.saturated
        for number in range(self._count):
            thread = threading.Thread(target=self._work, name=f"hostler-request-{number}", daemon=True)
            thread.start()

    # -- the main thread -------------------------------------------------------------------------------

    def run(self) -> None:
        """Lead, or watch whoever leads, until the worker has stopped."""
        driver = self._driver
        assert driver is not None
        driver.open()
        looked = queue_looked = time.monotonic()
        while not driver.finished():
            if self._leader == MAIN:
                driver.loop_thread = threading.get_ident()
                driver.turn()
                if self._trials.due(driver.now) and not self._context.stopping:
                    self._trials.given(driver.now)
                    self._leader = NOBODY
                    self._inbox.put("lead")
            else:
                self._watch(driver)
            now = time.monotonic()
            if now - looked > 1.0:
                looked = now
                self._look_for_stuck(now)
            if self._queue_wait and now - queue_looked > QUEUE_LOOK:
                queue_looked = now
                self._turn_away(driver)
        for _ in range(self._count):
            self._inbox.put(None)
        driver.close()

    def _watch(self, driver: SharedDriver) -> None:
        if self._taken != self._seen or self._leader == NOBODY:
            self._seen = self._taken
            self._quiet = 0
        self._quiet += 1
        self._asleep = self._quiet > QUIET
        self._attention.wait(ASLEEP if self._asleep else TAKE_OVER)
        self._asleep = False
        self._attention.clear()
        with self._mutex:
            now = time.monotonic()
            if self._leader == NOBODY:  # every runner has something else to do
                self._trials.returned(now)
                self._leader = MAIN
                return
            runner = self._runners.get(self._leader)
            if runner is None:
                return
            exchange = runner.exchange
            if exchange is None or (now - runner.since <= TAKE_OVER and not self._context.stopping):
                return
            self._trials.returned(now)
            self._paces.of(exchange.head.target).held()
            self._handed += 1
            self._leader = MAIN
            driver.epoch += 1

    def _look_for_stuck(self, now: float) -> None:
        """A request beyond `timeout`: say where its thread is, and ask to be replaced."""
        limit = self._context.settings.timeout
        if not limit:
            return
        for ident, runner in list(self._runners.items()):
            exchange = runner.exchange
            if exchange is None or runner.told or now - runner.since < limit:
                continue
            runner.told = True
            frame = sys._current_frames().get(ident)  # noqa: SLF001 - the documented way to another thread's stack
            stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
            head = exchange.head
            self._context.stuck(
                f"{head.method} {head.target.decode('latin-1')} has run for {now - runner.since:.0f} s\n{stack}"
            )

    def saturated(self) -> bool:
        """Every thread has had its request for longer than one should last that is soon over."""
        now = time.monotonic()
        runners = self._runners.values()
        return len(runners) == self._count and all(
            runner.exchange is not None and now - runner.since > HELD for runner in list(runners)
        )

    # -- requests --------------------------------------------------------------------------------------

    def take(self, exchange: Exchange) -> None:
        """A request is complete: run it here if this runner leads the loop and those of its path are quick."""
        ident = threading.get_ident()
        if self._leader == ident:
            target = exchange.head.target
            pace = self._paces.known.get(target) or self._paces.of(target)
            if not pace.rest:
                self._taken = taken = self._taken + 1
                if self._asleep:
                    self._quiet = 0
                    self._attention.set()
                runner = self._runners[ident]
                self._run(runner, exchange)
                # Those handed over before a new leader still compete with what it runs.
                if taken - self._first > SETTLED and self._leader == ident:
                    pace.took(time.monotonic() - runner.since)
                return
            pace.rest -= 1
        with self._mutex:
            self._handed += 1
        self._inbox.put((time.monotonic(), exchange))

    def _work(self) -> None:
        runner = self._runners[threading.get_ident()] = Runner()
        driver = self._driver
        assert driver is not None
        while True:
            task = self._inbox.get()
            if task is None:
                return
            if isinstance(task, str):
                self._lead(runner, driver)
                continue
            queued, exchange = task
            if self._late(queued):
                self._refuse(exchange)
            else:
                self._run(runner, exchange)
            runner.done += 1
            driver.complete(exchange)

    def _late(self, queued: float) -> bool:
        return bool(self._queue_wait) and time.monotonic() - queued > self._queue_wait

    def _refuse(self, exchange: Exchange) -> None:
        self._context.log.refused("overload", exchange.peer, "no thread was free")
        exchange.refuse(503, "Service Unavailable", [("Retry-After", "1")])

    def _turn_away(self, driver: SharedDriver) -> None:
        """Answer those that have waited too long, though no thread comes to look at them."""
        for _ in range(self._inbox.qsize()):
            try:
                task = self._inbox.get_nowait()
            except Empty:
                return
            if isinstance(task, tuple) and self._late(task[0]):
                self._refuse(task[1])
                self._turned_away += 1
                driver.complete(task[1])
            else:
                self._inbox.put(task)

    def _lead(self, runner: Runner, driver: SharedDriver) -> None:
        ident = threading.get_ident()
        with self._mutex:
            if self._leader != NOBODY:
                return
            self._leader = driver.loop_thread = ident
            self._first = self._taken
            epoch = driver.epoch
        looked = -1
        while driver.epoch == epoch:
            handed = self._handed
            if self._context.stopping or (handed != looked and self._busy() >= self._count):
                with self._mutex:
                    if self._leader == ident:
                        self._trials.returned(time.monotonic())
                        self._leader = MAIN
                        self._attention.set()
                        return
                break
            looked = handed
            driver.turn()
        runner.done += 1  # the request that it was held by

    def _busy(self) -> int:
        """How many runners have a request or one waiting for them. Never too few: it sinks only meanwhile."""
        handed = self._handed
        return handed - self._turned_away - sum(runner.done for runner in self._runners.values())

    def _run(self, runner: Runner, exchange: Exchange) -> None:
        runner.since = time.monotonic()
        runner.told = False
        runner.exchange = exchange
        try:
            exchange.run()
        finally:
            runner.exchange = None
