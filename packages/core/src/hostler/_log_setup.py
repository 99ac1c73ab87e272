"""The standard library's loggers as the settings want them: handlers and levels.

`hostler.error` and `hostler.access` are ours; the names `gunicorn.error` and `gunicorn.access`, which
applications and logging configurations of gunicorn's users know, lead to the same place.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hostler._escape import escape_message
from hostler._log_output import Output
from hostler._log_syslog import SyslogHandler
from hostler.errors import ConfigError

if TYPE_CHECKING:
    from hostler.settings import Settings

ERROR, ACCESS = "hostler.error", "hostler.access"
ALIASES = {"gunicorn.error": ERROR, "gunicorn.access": ACCESS}
FORMAT, TIME = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s", "[%Y-%m-%d %H:%M:%S %z]"


class LineFormatter(logging.Formatter):
    """One record, one entry: control characters are escaped, further lines indented."""

    def __init__(self, form: str = FORMAT, time: str = TIME) -> None:
        super().__init__(form, time)

    def format(self, record: logging.LogRecord) -> str:
        return escape_message(super().format(record))


class OutputHandler(logging.Handler):
    """Records to an `Output`, which belongs to whoever made it."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.output = output

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - a record of the application that does not fit its own format
            self.handleError(record)
            return
        self.output.write((text + "\n").encode(errors="backslashreplace"))


def configured(settings: Settings) -> bool:
    """A logging configuration of the user's own says where everything goes."""
    return bool(settings.logconfig_dict or settings.logconfig_json or settings.logconfig)


def syslog(settings: Settings, log: str) -> SyslogHandler:
    """The handler of one of the two logs."""
    name = settings.syslog_prefix or settings.proc_name or settings.default_proc_name
    return SyslogHandler(settings.syslog_addr, settings.syslog_facility, f"{name}.{log}")


def set_up(settings: Settings, output: Output | None) -> logging.Logger:
    """Give the loggers their handlers; returns the error log. Raises `ConfigError` and changes nothing then."""
    before = _snapshot()
    try:
        if configured(settings):
            from hostler import _log_configured  # noqa: PLC0415 - the parsers it needs cost each worker memory

            _log_configured.apply(settings)
        else:
            _handlers(settings, output)
    except ConfigError:
        _restore(before)
        raise
    return logging.getLogger(ERROR)


def in_use(output: Output) -> bool:
    """The error log still writes to it."""
    handlers = logging.getLogger(ERROR).handlers
    return any(isinstance(handler, OutputHandler) and handler.output is output for handler in handlers)


def _handlers(settings: Settings, output: Output | None) -> None:
    handlers: list[logging.Handler] = []
    if output is not None:
        handler = OutputHandler(output)
        handler.setFormatter(LineFormatter())
        handlers.append(handler)
    if settings.syslog:
        remote = syslog(settings, "error")
        remote.setFormatter(LineFormatter("[%(levelname)s] %(message)s"))
        handlers.append(remote)
    for name in (ERROR, "gunicorn.error"):
        log = logging.getLogger(name)
        replace(log, handlers)
        log.setLevel(settings.loglevel.upper())
        log.propagate = False
        log.disabled = False


def replace(log: logging.Logger, handlers: list[logging.Handler]) -> None:
    """Handlers of an earlier configuration go; those that an application added itself stay."""
    for handler in list(log.handlers):
        if isinstance(handler, (OutputHandler, SyslogHandler, Forward)):
            log.removeHandler(handler)
            handler.close()
    for handler in handlers:
        log.addHandler(handler)


class Forward(logging.Handler):
    """Hands records to another logger."""

    def __init__(self, target: logging.Logger) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        self._target.handle(record)


# -- undo ----------------------------------------------------------------------------------------------

_State = dict[str, tuple[list[logging.Handler], int, bool, bool]]


def _snapshot() -> _State:
    names = ("", ERROR, ACCESS, *ALIASES)
    logs = {name: logging.getLogger(name or None) for name in names}
    return {name: (list(log.handlers), log.level, log.propagate, log.disabled) for name, log in logs.items()}


def _restore(state: _State) -> None:
    for name, (handlers, level, propagate, disabled) in state.items():
        log = logging.getLogger(name or None)
        log.handlers[:] = handlers
        log.setLevel(level)
        log.propagate, log.disabled = propagate, disabled
