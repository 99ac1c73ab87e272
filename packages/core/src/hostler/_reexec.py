"""Upgrade (USR2): a new arbiter is executed beside this one and takes over its listeners.

Both serve until the operator stops one: TERM or QUIT to the old completes the upgrade, TERM to the new (with
HUP to the old, if its workers were sent away by WINCH) rolls it back. A new arbiter that fails changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hostler import _signals
from hostler._listeners import Inherited

if TYPE_CHECKING:
    from hostler._configuration import Start
    from hostler._deaths import Deaths
    from hostler._state import State

VARIABLE = "HOSTLER_UPGRADE"
"""How the old arbiter tells the new one what it hands over."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """What a new arbiter gets from the old one."""

    pid: int
    """The old arbiter's."""
    sockets: tuple[Inherited, ...]
    activated: bool
    """They came from the service manager in the first place."""

    @property
    def pending(self) -> bool:
        """The old arbiter still runs."""
        return os.getppid() == self.pid


def handed_over(environ: MutableMapping[str, str]) -> HandOver | None:
    """What this process got from an older arbiter; None for a start of its own."""
    text = environ.pop(VARIABLE, None)
    if text is None:
        return None
    try:
        found = json.loads(text)
        sockets = tuple(Inherited(int(number), str(name)) for number, name in found["sockets"])
        over = HandOver(int(found["pid"]), sockets, bool(found["activated"]))
    except (ValueError, KeyError, TypeError):
        return None
    return over if over.pending else None


class Upgrade:
    """The upgrades that one arbiter starts."""

    def __init__(
        self, state: State, deaths: Deaths, start: Start, extra: Callable[[], Mapping[str, str]]
    ) -> None:
        """`extra()` gives variables besides those that this process was started with."""
        self._state = state
        self._deaths = deaths
        self._start = start
        self._extra = extra
        self.activated: tuple[Inherited, ...] = ()
        """The service manager's sockets, if the listeners are those."""
        self.pid = 0
        """The new arbiter's, while it lives."""

    def begin(self) -> None:
        """Fork and execute the new arbiter; one at a time."""
        state = self._state
        if self.pid:
            state.log.warning("an upgrade is under way: the new arbiter has pid %d", self.pid)
            return
        with _signals.blocked():
            try:
                pid = os.fork()
            except OSError as error:
                state.log.error("upgrade: cannot fork: %s", error.strerror)
                return
            if pid == 0:
                self._become()
        self.pid = pid
        self._deaths.others[pid] = self._ended
        state.log.info("upgrade: the new arbiter has pid %d", pid)
        state.note(f"upgrade: new arbiter {pid}")

    def _ended(self, status: int) -> None:
        self.pid = 0
        code = os.waitstatus_to_exitcode(status)
        how = _signals.name(-code) if code < 0 else f"code {code}"
        self._state.log.error("upgrade: the new arbiter ended (%s); this one serves on", how)
        self._state.note(f"upgrade failed ({how})")

    def _become(self) -> None:
        state = self._state
        try:
            _signals.reset(_signals.ARBITER, signal.SIG_DFL)
            _signals.unblock()
            state.plan.hooks.call("pre_exec", state.server)
            sockets = self.activated or tuple(
                Inherited(listener.fileno()) for listener in state.plan.listeners
            )
            for one in sockets:
                os.set_inheritable(one.descriptor, True)
            over = {
                "pid": os.getppid(),
                "sockets": [[one.descriptor, one.name] for one in sockets],
                "activated": bool(self.activated),
            }
            environ = {**self._start.environ, **self._extra(), VARIABLE: json.dumps(over)}
            os.chdir(self._start.directory)
            os.execve(sys.executable, command(self._start.argv), environ)
        except BaseException:
            with contextlib.suppress(BaseException):
                state.log.exception("upgrade: the new arbiter cannot be executed")
        finally:
            os._exit(127)


def command(argv: tuple[str, ...]) -> list[str]:
    """This interpreter with the options that it was started with, running the server with these arguments."""
    return [sys.executable, *_interpreter_options(sys.orig_argv[1:]), "-m", "hostler", *argv]


def _interpreter_options(words: list[str]) -> list[str]:
    options: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in ("-m", "-c", "-") or not word.startswith("-") or word.startswith("-m"):
            break
        options.append(word)
        if word in ("-X", "-W"):
            options.append(next(rest, ""))
    return options
