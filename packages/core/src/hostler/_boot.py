"""From the command to the arbiter's loop, and from its end back to the command.

Everything that can be wrong with a start is found here, one line each, before the first fork; everything
that was made is taken away again, whatever happens in between.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from typing import TYPE_CHECKING

from hostler import _app, _daemon, _privileges, _reexec, _shared_code, _signals, _systemd, _title
from hostler._arbiter import Arbiter
from hostler._child import prepare_environment
from hostler._control import ControlServer
from hostler._control_commands import commands
from hostler._control_paths import path_for
from hostler._controlled import Face
from hostler._hooks import HookTable
from hostler._listeners import Inherited, OpenListener, open_listeners
from hostler._log import open_logger
from hostler._measures import Measures
from hostler._pidfile import PidFile
from hostler._state import Plan
from hostler.errors import AppError, BootError, HostlerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hostler._configuration import Configuration
    from hostler._contexts import Logger
    from hostler.settings import Settings


def run(configuration: Configuration) -> int:
    """Run a server until it is told to stop; the exit code. Raises `HostlerError` for a start that fails."""
    _title.warm_up()
    settings = configuration.settings
    over = _reexec.handed_over(os.environ)
    activated = _systemd.listen_fds(os.environ)
    notifier = _systemd.Notifier(os.environ, keep=over is not None)
    if settings.chdir:
        os.chdir(settings.chdir)
    launcher: _daemon.Launcher | None = None
    if settings.daemon and over is None:
        launcher = _daemon.detach(keep_output=settings.enable_stdio_inheritance)
    boot = _Boot(configuration, over, activated, notifier, launcher)
    try:
        code = boot.run()
    except HostlerError as error:
        if launcher is None:
            raise
        launcher.tell(error.exit_code, str(error))
        return error.exit_code
    return code


class _Boot:
    """One start."""

    def __init__(
        self,
        configuration: Configuration,
        over: _reexec.HandOver | None,
        activated: Sequence[Inherited],
        notifier: _systemd.Notifier,
        launcher: _daemon.Launcher | None,
    ) -> None:
        self._configuration = configuration
        self._over = over
        # What the manager passed in stays its own through any number of upgrades and reloads.
        self._activated = tuple(over.sockets if over and over.activated else activated)
        self._notifier = notifier
        self._launcher = launcher
        self._pidfile: PidFile | None = None
        self._pidfile_due = ""
        self._arbiter: Arbiter | None = None

    def run(self) -> int:
        """From the logs to the exit code."""
        configuration = self._configuration
        settings = configuration.settings
        with contextlib.ExitStack() as undo:
            log = open_logger(configuration)
            for warning in configuration.warnings:
                log.error.warning("%s", warning)
            hooks = HookTable(settings, log.error)
            _privileges.check(_privileges.Identity(settings.user, settings.group, settings.initgroups))
            self._make_pidfile(settings)
            undo.callback(self._remove_pidfile)
            arbiter = self._arbiter = Arbiter(Plan(1, configuration, (), log, hooks), self._notifier)
            state = arbiter.state
            state.signals.install(_signals.ARBITER)
            undo.callback(self._say_goodbye, arbiter)
            undo.callback(self._close_listeners, arbiter)
            # At the beginning of a stop: workers have copies and empty the backlog before they close them,
            # and whoever comes after that is refused at once instead of waiting for nothing.
            arbiter.stopped.append(lambda: self._close_listeners(arbiter))
            hooks.call("on_starting", state.server)
            state.plan = self._plan(arbiter, log, hooks)
            undo.callback(arbiter.services.close)
            self._join(arbiter)
            _shared_code.share(configuration)
            with self._control(arbiter):
                _title.set_title(f"arbiter [{settings.proc_name or settings.default_proc_name}]")
                code = arbiter.run()
            if arbiter.failure:
                raise _failure(code, arbiter.failure)
        return code

    # -- the first plan --------------------------------------------------------------------------------

    def _plan(self, arbiter: Arbiter, log: Logger, hooks: HookTable) -> Plan:
        configuration = self._configuration
        handed = self._over.sockets if self._over else ()
        inherited = self._activated or handed
        listeners = open_listeners(configuration, inherited, activated=bool(self._activated))
        arbiter.state.plan = plan = Plan(1, configuration, tuple(listeners), log, hooks)
        _close_unserved(handed, listeners)
        for listener in listeners:
            log.error.info("listening at %s", listener.name)
        arbiter.reloading.activated = arbiter.upgrade.activated = self._activated
        application = _preload(configuration.settings) if configuration.settings.preload_app else None
        bound = arbiter.services.bind(configuration, {}, log.error)
        return Plan(1, configuration, plan.listeners, log, hooks, bound, application)

    # -- what hangs on the loop ------------------------------------------------------------------------

    def _join(self, arbiter: Arbiter) -> None:
        """Let the pid file, the launcher and the older arbiter take part in the arbiter's life."""
        if self._pidfile is not None:
            arbiter.private.append(self._pidfile)
        launcher = self._launcher
        if launcher is not None:
            arbiter.private.append(launcher)
            arbiter.started.append(lambda: launcher.tell(0))
        if self._over is not None:
            arbiter.chores.append(self._promote)
        arbiter.chores.append(Measures(arbiter.state).turn)
        arbiter.reloading.adopted.append(lambda new, old: self._move_pidfile(new))

    def _promote(self) -> bool:
        """The older arbiter has gone: this one is the server now."""
        if self._over is None or self._over.pending:
            return False
        arbiter, self._over = self._arbiter, None
        assert arbiter is not None
        arbiter.state.log.info("the old arbiter has gone; this one takes its place")
        self._notifier.send(f"MAINPID={os.getpid()}", "READY=1", f"STATUS={arbiter.summary()}")
        if self._pidfile is not None and self._pidfile_due:
            self._rename_pidfile(self._pidfile_due)
        return False

    @contextlib.contextmanager
    def _control(self, arbiter: Arbiter) -> Iterator[None]:
        settings = self._configuration.settings
        path = path_for(settings, os.getpid())
        if not path:
            yield
            return
        server = ControlServer(path, settings.control_socket_mode, commands(Face(arbiter)), arbiter.state.log)
        server.open()
        arbiter.private.append(_Abandoned(server))
        arbiter.watch(server, lambda events: None)

        def turn() -> bool:
            server.turn()
            return server.busy

        arbiter.chores.append(turn)
        try:
            yield
        finally:
            server.close()

    # -- the pid file ----------------------------------------------------------------------------------

    def _make_pidfile(self, settings: Settings) -> None:
        if settings.pidfile is None:
            return
        if self._over is None:
            self._pidfile = PidFile.create(settings.pidfile)
        else:
            self._pidfile_due = settings.pidfile
            self._pidfile = PidFile.create(f"{settings.pidfile}.2")

    def _move_pidfile(self, plan: Plan) -> None:
        """A reload may name another file; one that cannot be written is told and the old one kept."""
        wanted = plan.configuration.settings.pidfile
        if self._over is not None:
            return
        if self._pidfile is not None and wanted is not None and os.path.abspath(wanted) == self._pidfile.path:
            return
        arbiter = self._arbiter
        assert arbiter is not None
        try:
            made = PidFile.create(wanted) if wanted is not None else None
        except HostlerError as error:
            plan.log.error.warning("%s; the old pid file stays", error)
            return
        if self._pidfile is not None:
            arbiter.private.remove(self._pidfile)
            self._pidfile.remove()
        self._pidfile = made
        if made is not None:
            arbiter.private.append(made)

    def _rename_pidfile(self, path: str) -> None:
        assert self._pidfile is not None
        try:
            self._pidfile.rename(path)
        except OSError as error:
            assert self._arbiter is not None
            self._arbiter.state.log.warning("pid file %r: %s", path, error.strerror)

    def _remove_pidfile(self) -> None:
        if self._pidfile is not None:
            self._pidfile.remove()

    # -- the end ---------------------------------------------------------------------------------------

    def _close_listeners(self, arbiter: Arbiter) -> None:
        """Files of Unix sockets go with the server, not with one of two arbiters that share them."""
        alone = (
            not arbiter.upgrade.pid and (self._over is None or not self._over.pending) and not self._activated
        )
        for listener in arbiter.state.listeners():
            listener.close(unlink=alone)

    def _say_goodbye(self, arbiter: Arbiter) -> None:
        state = arbiter.state
        state.plan.hooks.call("on_exit", state.server)
        state.log.info("ended")
        state.plan.log.close()


class _Abandoned:
    """The control socket as a child sees it after its fork."""

    __slots__ = ("_server",)

    def __init__(self, server: ControlServer) -> None:
        self._server = server

    def close(self) -> None:
        self._server.abandon()


def _close_unserved(handed: Sequence[Inherited], listeners: Sequence[OpenListener]) -> None:
    """Sockets of the old arbiter that the new configuration does not serve."""
    served = {listener.fileno() for listener in listeners}
    for one in handed:
        if one.descriptor not in served:
            os.close(one.descriptor)


def _preload(settings: Settings) -> object:
    """The application, once for all workers. Its errors end the start as they would in a worker."""
    prepare_environment(settings)
    try:
        return _app.load(settings)
    except HostlerError:
        raise
    except Exception as error:
        traceback.print_exc()
        raise BootError(f"the application could not be loaded: {type(error).__name__}: {error}") from error


def _failure(code: int, why: str) -> HostlerError:
    return AppError(why) if code == AppError.exit_code else BootError(why)
