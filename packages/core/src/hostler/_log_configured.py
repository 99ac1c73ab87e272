"""The user's own logging configuration: `logconfig`, `logconfig_dict`, `logconfig_json`."""

from __future__ import annotations

import configparser
import copy
import json
import logging
import logging.config
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hostler._log_setup import ALIASES, FORMAT, TIME, Forward, replace
from hostler.errors import ConfigError

if TYPE_CHECKING:
    from hostler.settings import Settings

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
    "formatters": {"generic": {"format": FORMAT, "datefmt": TIME, "class": "logging.Formatter"}},
}
"""What a dictionary or JSON file of the user's replaces or adds to; the names are those gunicorn offers."""


def apply(settings: Settings) -> None:
    """Configure logging as the settings' dictionary or file says. Raises `ConfigError` for one that cannot be used."""
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
    for alias, name in ALIASES.items():
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
    replace(ours, [])
    ours.disabled = False
    if not ours.handlers and (theirs.handlers or theirs.level):
        ours.addHandler(Forward(theirs))
        ours.setLevel(theirs.getEffectiveLevel())
        ours.propagate = False
