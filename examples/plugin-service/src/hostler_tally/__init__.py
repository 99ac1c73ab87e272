"""The service `tally`: counters that all workers share. This module stays light: it is imported for `--help`."""

from __future__ import annotations

from dataclasses import dataclass

from hostler.plugin import ServiceType
from hostler.settings import seconds, setting, words

from hostler_tally._client import count


@dataclass(frozen=True, slots=True)
class Settings:
    """`tally_…` in files, `--tally-…` on the command line."""

    names: tuple[str, ...] = setting(
        (),
        kind=words,
        help="names of the counters; without any the service does not run",
        section="tally service",
    )
    stop_timeout: float = setting(
        5.0, kind=seconds(), help="seconds that the service gets to stop", section="tally service"
    )


def _wanted(settings: Settings) -> bool:
    return bool(settings.names)


service = ServiceType(
    name="tally",
    serve="hostler_tally._serve:serve",
    summary="counters that all workers share",
    settings=Settings,
    wanted=_wanted,
    bind="hostler_tally._bind:bind",
    join="hostler_tally._bind:join",
    stop_timeout="stop_timeout",
)

__all__ = ["Settings", "count", "service"]
