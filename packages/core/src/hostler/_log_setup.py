"""The standard library's loggers as the settings want them: handlers, levels, `logconfig*`.

`hostler.error` and `hostler.access` are ours; the names `gunicorn.error` and `gunicorn.access`, which
applications and logging configurations of gunicorn's users know, lead to the same place.
"""

from __future__ import annotations

import configparser
import copy
import json
import logging
import logging.config
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hostler._escape import escape_message
from hostler._log_output import Output
from hostler._log_syslog import SyslogHandler
from hostler.errors import ConfigError

if TYPE_CHECKING:
    from hostler.settings import Settings

ERROR, ACCESS = "hostler.error", "hostler.access"
_ALIASES = {"gunicorn.error": ERROR, "gunicorn.access": ACCESS}
_FORMAT, _TIME = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s", "[%Y-%m-%d %H:%M:%S %z]"


class LineFormatter(logging.Formatter):
    """One record, one entry: control characters are escaped, further lines indented."""

    def __init__(self, form: str = _FORMAT, time: str = _TIME) -> None:
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
            _own_configuration(settings)
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
        _replace(log, handlers)
        log.setLevel(settings.loglevel.upper())
        log.propagate = False
        log.disabled = False


def _replace(log: logging.Logger, handlers: list[logging.Handler]) -> None:
    """Handlers of an earlier configuration go; those that an application added itself stay."""
    for handler in list(log.handlers):
        if isinstance(handler, (OutputHandler, SyslogHandler, _Forward)):
            log.removeHandler(handler)
            handler.close()
    for handler in handlers:
        log.addHandler(handler)


# -- the user's own configuration ----------------------------------------------------------------------

_DEFAULTS: Mapping[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["error_console"], "propagate": True},
        "gunicorn.access": {"level": "INFO", "handlers": ["console"], "propagate": True},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stdout"},
        "error_console": {
            "class": "logging.StreamHandler",
            "formatter": "generic",
            "stream": "ext://sys.stderr",
        },
    },
    "formatters": {"generic": {"format": _FORMAT, "datefmt": _TIME, "class": "logging.Formatter"}},
}
"""What a dictionary or JSON file of the user's replaces or adds to; the names are those gunicorn offers."""


def _own_configuration(settings: Settings) -> None:
    if settings.logconfig_dict:
        _by_dictionary("logconfig_dict", settings.logconfig_dict)
    elif settings.logconfig_json:
        path = settings.logconfig_json
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
        except OSError as error:
            raise ConfigError(f"logconfig_json: {path!r} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ConfigError(f"logconfig_json: {path!r} is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise ConfigError(f"logconfig_json: {path!r} must hold an object")
        _by_dictionary("logconfig_json", found)
    else:
        _by_file(str(settings.logconfig))
    for alias, name in _ALIASES.items():
        _join(logging.getLogger(name), logging.getLogger(alias))


def _by_dictionary(setting: str, own: Mapping[str, Any]) -> None:
    merged = {**copy.deepcopy(dict(_DEFAULTS)), **own}
    for name in ("handlers", "formatters"):
        # What the defaults refer to stays there to be referred to.
        merged[name] = {**copy.deepcopy(_DEFAULTS[name]), **own.get(name, {})}
    try:
        logging.config.dictConfig(merged)
    except (ValueError, TypeError, AttributeError, ImportError, OSError) as error:
        raise ConfigError(f"{setting}: cannot be used: {_why(error)}") from None


def _by_file(path: str) -> None:
    if not os.path.isfile(path):
        raise ConfigError(f"logconfig: there is no file {path!r}")
    defaults = {"__file__": path, "here": os.path.dirname(os.path.abspath(path))}
    try:
        logging.config.fileConfig(path, defaults=defaults, disable_existing_loggers=False)
    except (
        configparser.Error, ValueError, TypeError, AttributeError, ImportError, OSError, KeyError, RuntimeError,
        NameError, SyntaxError,
    ) as error:  # fmt: skip
        raise ConfigError(f"logconfig: {path!r} cannot be used: {_why(error)}") from None


def _why(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__
    text = f"{error}" + (f" ({cause})" if cause is not None else "")
    return " ".join(text.split())


def _join(ours: logging.Logger, theirs: logging.Logger) -> None:
    """Ours where the configuration names it, else everything goes the way of gunicorn's name for it."""
    _replace(ours, [])
    ours.disabled = False
    if not ours.handlers and (theirs.handlers or theirs.level):
        ours.addHandler(_Forward(theirs))
        ours.setLevel(theirs.getEffectiveLevel())
        ours.propagate = False


class _Forward(logging.Handler):
    """Hands records to another logger."""

    def __init__(self, target: logging.Logger) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        self._target.handle(record)


# -- undo ----------------------------------------------------------------------------------------------

_State = dict[str, tuple[list[logging.Handler], int, bool, bool]]


def _snapshot() -> _State:
    names = ("", ERROR, ACCESS, *_ALIASES)
    logs = {name: logging.getLogger(name or None) for name in names}
    return {name: (list(log.handlers), log.level, log.propagate, log.disabled) for name, log in logs.items()}


def _restore(state: _State) -> None:
    for name, (handlers, level, propagate, disabled) in state.items():
        log = logging.getLogger(name or None)
        log.handlers[:] = handlers
        log.setLevel(level)
        log.propagate, log.disabled = propagate, disabled
