"""The `std` logger as a plugin value, and the one call that opens whichever logger was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hostler._named import named
from hostler._values import LoggerType

if TYPE_CHECKING:
    from hostler._configuration import Configuration
    from hostler._contexts import Logger
    from hostler.settings import Settings

logger = LoggerType(
    name="std",
    open="hostler._log_standard:open_standard",
    summary="error and access log to files, standard streams, syslog or logging",
)


def open_logger(configuration: Configuration) -> Logger:
    """Open the logs, or open them under new settings; what was open before goes on until its `close`.

    Raises `ConfigError` for a file or logging configuration that cannot be used; then nothing has changed.
    """
    chosen = configuration.logger
    return cast("Logger", named(chosen.open)(configuration.settings, configuration.own.get(chosen.name)))


def open_std_logger(settings: Settings) -> Logger:
    """The logger `std` under these settings, for loggers that add to it. Raises `ConfigError`."""
    return cast("Logger", named("hostler._log_standard:open_standard")(settings))
