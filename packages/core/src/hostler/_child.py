"""Everything between the fork and the end of a child, in the order in which it must happen.

Signals, descriptors, title, hooks, monkey-patching, privileges, environment, application, serving, leaving.
Nothing here returns into the arbiter's code: the last step ends the process.
"""

from __future__ import annotations

import atexit
import faulthandler
import logging
import os
import signal
import sys
import traceback
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from hostler import _app, _death, _privileges, _signals, _title
from hostler._named import named
from hostler._service_context import Service
from hostler._worker_context import ChildContext, Context
from hostler.errors import AppError, BootError, HostlerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hostler._birth import Birth
    from hostler._listeners import OpenListener
    from hostler.settings import Settings

QUEUED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1)
HARMLESS = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2, signal.SIGWINCH)
"""Meant for the arbiter; a child that gets one (`pkill -HUP`) must not die of it."""


def run_worker(birth: Birth) -> NoReturn:
    """In the child: be a worker and end."""
    _end(birth, _worker)


def run_service(birth: Birth) -> NoReturn:
    """In the child: be a service and end."""
    _end(birth, _service)


def _end(birth: Birth, be: Callable[[Birth], int]) -> NoReturn:
    code = 1
    try:
        code = be(birth)
    except _Left:
        code = 0
    except BaseException:  # noqa: BLE001 - the wall around a child's main: the arbiter's code is above it
        birth.plan.log.error.exception("%s failed", birth.child)
    finally:
        code = _leave(birth, code)
        os._exit(code)


def _leave(birth: Birth, code: int) -> int:
    try:
        _signals.reset(QUEUED, _signals.ignore)  # it ends already
        # What the application registered; the arbiter's own frames are never unwound here.
        atexit._run_exitfuncs()  # noqa: SLF001 - there is no public name for it
        birth.plan.log.close()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except _Left:
        return code
    except BaseException:  # noqa: BLE001 - the same wall
        birth.plan.log.error.exception("%s: at exit", birth.child)
    return code


def _worker(birth: Birth) -> int:
    settings = birth.plan.configuration.settings
    signals = _signals.SignalQueue()
    death = _Handlers(signals)
    death.install()
    _settle(birth)
    _title.set_title(f"worker [{_name(settings)}]")
    context: Context | None = None
    try:
        birth.plan.hooks.call("post_fork", birth.server, birth.child.handle)
        context = _prepared(birth, signals, death)
        serve = named(birth.plan.configuration.worker.serve)
        serve(context, birth.plan.configuration.own.get(birth.plan.configuration.worker.name))
    except SystemExit:
        if context is not None and context.booted and not context.stopping:
            raise
        if not death.leaving and (context is None or not context.stopping):
            return _boot_failed(birth, BootError("the worker exited while it started"))
    except Exception as error:  # noqa: BLE001 - the wall around a child's main
        if death.leaving:
            return 0  # what the application made of being told to end is no failure
        if context is not None and context.booted:
            birth.plan.log.error.exception("%s: the worker failed", birth.child)
            return 1
        return _boot_failed(birth, error)
    finally:
        birth.plan.hooks.call("worker_exit", birth.server, birth.child.handle)
    return 0


def _prepared(birth: Birth, signals: _signals.SignalQueue, death: _Handlers) -> Context:
    """From the fork to the door of `serve`."""
    configuration = birth.plan.configuration
    settings = configuration.settings
    if configuration.worker.prepare:
        named(configuration.worker.prepare)(configuration.own.get(configuration.worker.name))
    listeners: list[OpenListener] = [listener.for_worker() for listener in birth.plan.listeners]
    become(birth, settings)
    _join_services(birth)
    context = Context(birth, signals, listeners)
    death.attach(context)
    context.prepare()
    for service in configuration.services:
        if service.attend:
            named(service.attend)(context)
        if service.offer:
            context.offers += tuple(named(service.offer)(context).items())
    if settings.spew:
        from hostler import _spew  # noqa: PLC0415 - only for who debugs line by line

        _spew.start()
    return context


def _service(birth: Birth) -> int:
    configuration = birth.plan.configuration
    signals = _signals.SignalQueue()
    handlers = _Handlers(signals)
    handlers.install((*QUEUED, signal.SIGHUP))
    _settle(birth)
    _title.set_title(f"service {birth.child.name} [{_name(configuration.settings)}]")
    service = next(one for one in configuration.services if one.name == birth.child.name)
    context: Service | None = None
    try:
        become(birth, configuration.settings)
        context = Service(birth, signals)
        handlers.attach(context)
        named(service.serve)(context, configuration.own.get(service.name))
    except SystemExit:
        if not handlers.leaving and not (context is not None and context.stopping):
            raise
    except Exception as error:  # noqa: BLE001 - the wall around a child's main
        if isinstance(error, HostlerError) and not (context is not None and context.booted):
            # Meant for the user: its line is enough, and trying again changes nothing.
            birth.page.say(birth.child.slot, str(error))
            return AppError.exit_code if isinstance(error, AppError) else BootError.exit_code
        birth.page.say(birth.child.slot, f"{type(error).__name__}: {error}")
        birth.plan.log.error.exception("%s failed", birth.child)
        return 1
    return 0


def become(birth: Birth, settings: Settings) -> None:
    """Give up privileges, then set the process up for the application."""
    os.umask(settings.umask)
    _privileges.drop(_privileges.Identity(settings.user, settings.group, settings.initgroups))
    # The kernel forgets the signal at a change of user, so it is asked for after.
    _death.signal_at_parents_death(signal.SIGTERM)
    prepare_environment(settings)
    if os.getppid() != birth.parent:
        raise BootError("the arbiter is gone")


def prepare_environment(settings: Settings) -> None:
    """Variables, working directory and search path, as the application is to find them."""
    for pair in settings.raw_env:
        key, _, value = pair.partition("=")
        os.environ[key] = value
    if settings.chdir:
        os.chdir(settings.chdir)
    _app.prepare_path(settings)


def _join_services(birth: Birth) -> None:
    configuration = birth.plan.configuration
    for service in configuration.services:
        bound = birth.plan.bound.get(service.name)
        if service.join and bound is not None:
            named(service.join)(configuration.own.get(service.name), bound)


def _settle(birth: Birth) -> None:
    """Make the process its own: descriptors, pid, dumps."""
    for thing in birth.strange:
        thing.close()
    birth.child.pid = os.getpid()
    if birth.child.handle is not None:
        birth.child.handle.pid = birth.child.pid
    faulthandler.register(_signals.STACKS, file=birth.child.stacks, all_threads=True, chain=False)


class _Left(SystemExit):
    """The child was told to end while it was starting."""


class _Handlers:
    """What a child's signals do."""

    def __init__(self, signals: _signals.SignalQueue) -> None:
        self._signals = signals
        self._context: ChildContext | None = None
        self.leaving = False
        """Told to end while it was starting."""

    def install(self, queued: Iterable[int] = QUEUED) -> None:
        """Replace the arbiter's handlers, then let signals in."""
        _signals.reset((signal.SIGCHLD,), signal.SIG_DFL)
        _signals.reset(HARMLESS, _signals.ignore)
        _signals.reset(queued, self._queue)
        signal.signal(signal.SIGABRT, self._abort)
        sys.unraisablehook = _unheard
        _signals.unblock()

    def attach(self, context: ChildContext) -> None:
        """The context exists from now on."""
        self._context = context

    def _queue(self, number: int, frame: FrameType | None) -> None:
        del frame
        context = self._context
        if (context is None or not context.booted) and number not in (signal.SIGUSR1, signal.SIGHUP):
            # Nothing was accepted yet, so there is nothing to finish: leave the import of the application. In a
            # finalizer nobody hears of it; then the queue tells the worker, once it has begun.
            self.leaving = True
            self._signals.put(number)
            raise _Left
        if number == signal.SIGTERM and context is not None:
            context.orphan_watch()
        self._signals.put(number)

    def _abort(self, number: int, frame: FrameType | None) -> None:
        """The one signal that is acted on at once: a loop that is stuck never comes to its queue."""
        del number, frame
        if isinstance(self._context, Context):
            self._context.abort()
        os._exit(1)


def _unheard(what: sys.UnraisableHookArgs) -> None:
    """What was raised in a finalizer; that the child was told to end is no news."""
    if what.exc_type is not _Left:
        sys.__unraisablehook__(what)


def _boot_failed(birth: Birth, error: BaseException) -> int:
    """Tell why, in full once per generation, and choose the exit code.

    A mistake of the user's is its one line; a traceback has who raised something else, or names it as the cause.
    """
    _signals.reset(QUEUED, _signals.ignore)  # the one that tells is not interrupted by the stop that follows
    plan, page = birth.plan, birth.page
    code = 4 if isinstance(error, AppError) else 3
    cause = error.__cause__ if isinstance(error, HostlerError) else error
    plain = cause is None or isinstance(error, AppError)
    summary = str(error) if plain else f"{type(cause).__name__}: {cause}"
    page.say(birth.child.slot, summary)
    with birth.turn:
        told = page.told == plan.generation
        page.told = plan.generation
    if told:
        return code
    log: logging.Logger = plan.log.error
    log.error("%s: the application could not be loaded: %s", birth.child, summary, exc_info=cause)
    settings: Any = plan.configuration.settings
    if cause is not None and birth.first and (settings.errorlog != "-" or settings.syslog):
        traceback.print_exception(type(cause), cause, cause.__traceback__, file=sys.stderr)
    return code


def _name(settings: Settings) -> str:
    return settings.proc_name or settings.default_proc_name
