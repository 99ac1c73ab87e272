"""The logger of one process: the error log through `logging`, the access log in one write per turn.

Nothing here raises into a request and nothing waits long: see `_log_output.py`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from hostler._access import Atoms, Render, compile_format
from hostler._access_json import compile_json
from hostler._contexts import AccessLine
from hostler._escape import escape
from hostler._log_output import Output
from hostler._log_setup import ACCESS, configured, in_use, set_up, syslog
from hostler._log_syslog import SyslogHandler
from hostler.errors import ConfigError

if TYPE_CHECKING:
    from hostler.settings import Settings

FULL = 128
"""Access lines that are kept until somebody says `flush`."""
RATE = 10
"""Lines a second about refused connections of one kind."""


def open_standard(settings: Settings, own: Any = None) -> StandardLogger:
    """The logger `std`. Raises `ConfigError`, with what was open before untouched."""
    del own
    return StandardLogger(settings)


def check(settings: Settings) -> None:
    """What can be said of the settings without opening anything. Raises `ConfigError`."""
    compile_format(settings.access_log_format)
    if settings.syslog:
        syslog(settings, "error").close()


class StandardLogger:
    """Implements the contract `Logger`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._render: Render = (
            compile_json() if settings.access_log_json else compile_format(settings.access_log_format)
        )
        self._remote: SyslogHandler | None = None
        self._logging: logging.Logger | None = None
        self._lines: list[str] = []
        self._flushing = threading.Lock()
        self._refusals: dict[str, _Rate] = {}
        self._outputs: list[Output] = []
        self._access: Output | None = None
        self._error: Output | None = None
        try:
            self._open()
            self.error = set_up(settings, self._error)
        except ConfigError:
            self._close_outputs()
            raise
        self._capture()
        self.access_wanted = bool(self._access or self._remote or self._logging)

    def _open(self) -> None:
        settings = self._settings
        if configured(settings):
            self._logging = logging.getLogger(ACCESS)
            return
        # With syslog alone nothing is written to a file that was not asked for.
        self._error = self._output("errorlog", settings.errorlog, "stderr")
        if settings.accesslog:
            self._access = self._output("accesslog", settings.accesslog, "stdout")
        if settings.syslog and not settings.disable_redirect_access_to_syslog:
            self._remote = syslog(settings, "access")

    def _output(self, setting: str, target: str, standard: str) -> Output:
        user, group = self._settings.user, self._settings.group
        owner = (
            None
            if user is None and group is None
            else (-1 if user is None else user, -1 if group is None else group)
        )
        try:
            output = Output(target, standard=standard, owner=owner)
        except OSError as error:
            raise ConfigError(f"{setting}: {target!r} cannot be opened: {error.strerror}") from None
        self._outputs.append(output)
        return output

    # -- the access log --------------------------------------------------------------------------------

    def access(self, line: AccessLine) -> None:
        """Take one line; it stays here until `flush`."""
        if self._logging is not None:
            self._through_logging(self._logging, line)
            return
        lines = self._lines
        try:
            lines.append(self._render(line))
        except Exception:  # noqa: BLE001 - whatever an application put into its answer must not end a request
            self.error.exception("access log: a line could not be made")
        if len(lines) >= FULL:
            self.flush()

    def flush(self) -> None:
        """Write what `access` kept, in one write."""
        # Whoever finds it taken, a signal's handler in the middle of it included, leaves it to the holder.
        if not self._lines or not self._flushing.acquire(blocking=False):
            return
        try:
            lines = self._lines
            count = len(lines)
            taken = lines[:count]
            del lines[:count]
            if self._access is not None:
                self._access.write("".join(taken).encode(errors="backslashreplace"))
        finally:
            self._flushing.release()
        if self._remote is not None:
            for text in taken:
                self._remote.send(logging.INFO, text[:-1])

    def _through_logging(self, log: logging.Logger, line: AccessLine) -> None:
        try:
            if self._settings.access_log_json:
                log.info("%s", self._render(line)[:-1])
            else:
                log.info(self._settings.access_log_format, Atoms(line))
        except Exception:  # noqa: BLE001 - a handler or formatter of the user's
            self.error.exception("access log: a line could not be written")

    # -- the error log ---------------------------------------------------------------------------------

    def refused(self, kind: str, peer: Any, detail: str = "") -> None:
        """One line about a refused connection, at most `RATE` a second of its kind."""
        rate = self._refusals.get(kind)
        if rate is None:
            rate = self._refusals[kind] = _Rate()
        suppressed = rate.take(time.monotonic())
        if suppressed < 0:
            return
        if suppressed:
            self.error.info("refused kind=%s suppressed=%d", kind, suppressed)
        where = peer
        if isinstance(peer, (tuple, list)) and len(peer) >= 2:
            where = f"{peer[0]}:{peer[1]}" if peer[0] else "unix"
        self.error.info(
            "refused kind=%s peer=%s%s",
            kind,
            escape(str(where or "unix")),
            f" {escape(detail)}" if detail else "",
        )

    def measure(self, name: str, value: float, kind: str = "gauge") -> None:
        """Figures are for loggers that send them somewhere."""

    # -- files -----------------------------------------------------------------------------------------

    def reopen(self) -> None:
        """USR1: open the files anew; one that cannot be opened stays as it is."""
        self.flush()
        for output in self._outputs:
            try:
                output.reopen()
            except OSError as error:
                self.error.error("log file %r cannot be opened again: %s", output.path, error.strerror)
        if self._logging is not None:
            _reopen_handlers()
        self._capture()

    def _capture(self) -> None:
        """`capture_output`: what is printed goes where the error log goes."""
        if self._settings.capture_output and self._error is not None and self._error.path:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os.dup2(self._error.fileno(), 1)
            os.dup2(self._error.fileno(), 2)

    def close(self) -> None:
        """Write what is left. The error log stays open as long as no other logger has replaced it."""
        self.flush()
        if self._error is not None and not in_use(self._error):
            self._error.close()
            self._outputs.remove(self._error)
            self._error = None
        if self._remote is not None:
            self._remote.close()
        if self._access is not None:
            self._access.close()
            self._outputs.remove(self._access)
            self._access = None

    def _close_outputs(self) -> None:
        for output in self._outputs:
            output.close()


class _Rate:
    """So many lines in one second, then a count of the rest."""

    __slots__ = ("_count", "_second", "_suppressed")

    def __init__(self) -> None:
        self._second = 0.0
        self._count = 0
        self._suppressed = 0

    def take(self, now: float) -> int:
        """-1: not now. Else the number that was suppressed before."""
        if now - self._second >= 1.0:
            self._second, self._count = now, 0
        if self._count >= RATE:
            self._suppressed += 1
            return -1
        self._count += 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed


def _reopen_handlers() -> None:
    """Files of the user's own handlers: they open again with their next record."""
    seen: set[logging.Handler] = set()
    known = list(logging.root.manager.loggerDict.values())
    logs = [logging.root, *(log for log in known if isinstance(log, logging.Logger))]
    for log in logs:
        for handler in log.handlers:
            if isinstance(handler, logging.FileHandler) and handler not in seen:
                seen.add(handler)
                handler.acquire()
                try:
                    if handler.stream is not None:
                        handler.stream.close()
                        handler.stream = handler._open()  # noqa: SLF001 - there is no public way to reopen
                finally:
                    handler.release()
