"""The worker's view of its process: the contract `WorkerContext`, made in the child after the fork.

This is where the two towers meet. It turns signals into `stopping`, beats into the shared page, and sockets
into connections; it refuses to know how requests are served.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import logging
import math
import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

from hostler import _app
from hostler._heartbeat import CHANGED, LEAVING, READY, SlotStatus
from hostler._openings import Openings
from hostler._reload import open_reloader
from hostler._request_handles import RequestHandles, ResponseHandle
from hostler.errors import BootError, HostlerError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from hostler._birth import Birth
    from hostler._contexts import Listener, Logger
    from hostler._listeners import OpenListener
    from hostler._signals import SignalQueue
    from hostler.settings import Settings

ORPHAN_GRACE = 1.0
"""Seconds beyond `graceful_timeout` that a worker without an arbiter may take."""


class ChildContext:
    """What workers and services have in common: signals, beats, a parent that may be lost."""

    def __init__(self, birth: Birth, signals: SignalQueue) -> None:
        self.settings: Settings = birth.plan.configuration.settings
        self.wakeup = signals.fileno()
        self.stopping = ""
        self.slot = birth.child.slot
        self.booted = False
        self._birth = birth
        self._signals = signals
        self._page = birth.page
        self._timeout = self.settings.timeout or math.inf
        self._orphaned = False

    @property
    def error_log(self) -> logging.Logger:
        return self._birth.plan.log.error

    def beat(self) -> None:
        """Alive: the next sign is due within `timeout`."""
        self._mark()
        if os.getppid() != self._birth.parent and not self._orphaned:
            self._orphan()

    def _mark(self) -> None:
        # While it boots, the deadline is the arbiter's `boot_timeout`.
        if self.booted:
            self._page.deadline[self.slot] = time.monotonic() + self._timeout

    def turn(self) -> None:
        """Act on the signals that came."""
        for number in self._signals.take():
            self._act(number)
        if os.getppid() != self._birth.parent and not self._orphaned:
            self._orphan()

    def orphan_watch(self) -> None:
        """In the handler of TERM, which the kernel sends when the arbiter died: see that this process ends.

        A request that never returns would keep an orphan, and its listeners, for ever; this holds even
        while the loop does not come round.
        """
        if os.getppid() != self._birth.parent:
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                faulthandler.dump_traceback_later(
                    self.settings.graceful_timeout + ORPHAN_GRACE, exit=True, file=self._birth.child.stacks
                )

    def _orphan(self) -> None:
        self._orphaned = True
        self.error_log.error("%s: the arbiter is gone; finishing", self._birth.child)
        self.orphan_watch()
        self.stopping = self.stopping or "graceful"

    def _act(self, number: int) -> None:
        if number == signal.SIGTERM:
            self.stopping = self.stopping or "graceful"
        elif number in (signal.SIGINT, signal.SIGQUIT):
            self.stopping = "quick"
        elif number == signal.SIGUSR1:
            self._birth.plan.log.reopen()

    def _tell_ready(self) -> None:
        self.booted = True
        self._page.raise_flag(self.slot, READY)
        self._mark()
        self._birth.wake()


class Context(ChildContext):
    """Implements `WorkerContext`."""

    def __init__(self, birth: Birth, signals: SignalQueue, listeners: Sequence[OpenListener]) -> None:
        super().__init__(birth, signals)
        self.listeners: Sequence[Listener] = listeners
        self.log: Logger = birth.plan.log
        self.age = birth.child.age
        self.multiprocess = birth.multiprocess
        self.handle = birth.child.handle
        self.handle.context = self
        self.status = SlotStatus(birth.page, self.slot)
        self.bell = birth.bell
        self.offers: tuple[tuple[str, Any], ...] = ()
        configuration = birth.plan.configuration
        self._openings = Openings(configuration, configuration.worker, listeners)
        self.connect = self._openings.connect
        self._hooks = birth.plan.hooks
        self._requests = RequestHandles()
        self._application: Any = None
        self._served = 0
        self._limit = self._request_limit()
        self._reloader: Any = None

    def _request_limit(self) -> float:
        most, jitter = self.settings.max_requests, self.settings.max_requests_jitter
        # Forked workers share the state of the default generator; the system's own differs.
        return most + random.SystemRandom().randint(0, jitter) if most else math.inf

    # -- boot ------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Load the protocols' code and finish the TLS contexts. Raises `ConfigError`."""
        self._openings.import_protocols()

    def load_app(self) -> Any:
        """The application, imported once. Raises `AppError` or, for any other failure, `BootError`."""
        if self._application is None:
            self._application = self.handle.app = self.handle.wsgi = self._load()
        return self._application

    def _load(self) -> Any:
        if self._birth.application is not None:
            return self._birth.application
        if self.settings.reload:
            self._reloader = open_reloader(
                self.settings, self._birth.plan.configuration.reloader, self._changed
            )
        try:
            found = _app.load(self.settings)
        except (Exception, SystemExit) as error:
            if self.stopping:
                raise
            if self._reloader is None:
                if isinstance(error, HostlerError):
                    raise  # the user's mistake, told in its own line
                raise BootError(f"{type(error).__name__}: {error}") from error
            found = self._show_failure(error)
        if self._reloader is not None:
            self._reloader.start()
        return found

    def _show_failure(self, error: BaseException) -> Any:
        """In development: serve the traceback until a file changes."""
        self.error_log.error("the application cannot be loaded; waiting for a change", exc_info=error)
        watch = getattr(self._reloader, "watch", None)
        if watch is not None:
            watch(_app.files_of(error))
        return _app.broken(error, self._birth.plan.configuration.worker.interface)

    def _changed(self, path: str) -> None:
        # Called from the reloader's thread: the arbiter reloads.
        self.error_log.info("%s changed", path)
        self._page.say(self.slot, f"{path} changed")
        self._page.raise_flag(self.slot, CHANGED)
        self._birth.wake()

    def ready(self) -> None:
        """The worker accepts; told once."""
        if self.booted:
            return
        self.handle.booted = True
        # What the application has made by now stays: the collector need not walk it again and again, which stops
        # every request of the worker for tens of milliseconds.
        gc.collect()
        gc.freeze()
        self._hooks.call("post_worker_init", self.handle)
        self._page.load[self.slot] = 0
        self._tell_ready()

    # -- connections and requests ----------------------------------------------------------------------

    def tls(self, listener: Listener) -> ssl.SSLContext | None:
        """The listener's TLS context; None for a plain one."""
        return self._openings.tls(listener)

    def proxied(self, listener: Listener, peer: Any = None) -> Any:
        """A reader for a PROXY header that comes before TLS; None without."""
        return self._openings.proxied(listener, peer)

    def served(self) -> None:
        """One request is done."""
        self._served = served = self._served + 1
        self._page.requests[self.slot] = served
        if served >= self._limit:
            self._limit = math.inf
            self._ask_to_leave(f"max_requests ({served} served)")

    def stuck(self, report: str) -> None:
        """Log a stuck request, and ask to be replaced."""
        self.error_log.error("%s: %s", self._birth.child, report)
        self._ask_to_leave("a stuck request")

    def _ask_to_leave(self, reason: str) -> None:
        self._page.say(self.slot, reason)
        self._page.raise_flag(self.slot, LEAVING)
        self._birth.wake()

    def pre_request(self, request: Any) -> None:
        """Call the user's hook; what it raises goes to the caller."""
        if self._hooks.has("pre_request"):
            handle = self._requests.begin(request, keep=self._hooks.has("post_request"))
            self._hooks.call_open("pre_request", self.handle, handle)

    def post_request(self, request: Any, environ: Any, response: Any) -> None:
        """Call the user's hook; errors are logged."""
        if self._hooks.has("post_request"):
            handle = self._requests.end(request)
            self._hooks.call("post_request", self.handle, handle, environ, ResponseHandle(response))

    # -- the end ---------------------------------------------------------------------------------------

    def _act(self, number: int) -> None:
        before = self.stopping
        super()._act(number)
        if self.stopping == "quick" and before != "quick":
            self._hooks.call("worker_int", self.handle)

    def abort(self) -> None:
        """In the handler of ABRT: the loop does not come round any more."""
        self.handle.aborted = True
        self._hooks.call("worker_abort", self.handle)
        self.log.flush()
