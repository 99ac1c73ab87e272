"""Errors that a user can cause, each told in one line with what is wrong, where, and what to do."""

from __future__ import annotations


class HostlerError(Exception):
    """The root of what this server raises for its user. `exit_code` is what the command ends with."""

    exit_code = 1


class ConfigError(HostlerError):
    """A setting is unknown or has a value that it cannot have."""


class UsageError(ConfigError):
    """The command line cannot be understood, or gives a value that a setting cannot have."""

    exit_code = 2


class PluginError(HostlerError):
    """A plugin is not installed, broken, in conflict, or made for another API."""

    exit_code = 2


class AppError(HostlerError):
    """The application cannot be found where the user said (exit code 4, as gunicorn's)."""

    exit_code = 4


class BootError(HostlerError):
    """A worker or service could not be brought up (exit code 3, as gunicorn's)."""

    exit_code = 3


class ListenError(HostlerError):
    """An address cannot be listened on."""
