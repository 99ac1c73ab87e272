"""statsd metrics for hostler, as gunicorn sends them: a logger that counts what it logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hostler.plugin import LoggerType
from hostler.settings import Invalid, Kind, boolean, setting, text

Target = tuple[str, int] | str
"""Host and port, or the path of a Unix datagram socket."""


def _target(value: Any) -> Target | None:
    if value is None or value == "":
        return None
    if isinstance(value, (tuple, list)) and len(value) == 2:
        value = f"{value[0]}:{value[1]}"
    if not isinstance(value, str):
        raise Invalid("must be HOST:PORT or unix:PATH")
    if value.startswith("unix:"):
        path = value[5:].removeprefix("//")
        if not path:
            raise Invalid("must name a path after unix:")
        return path
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise Invalid("must be HOST:PORT or unix:PATH")
    return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsdSettings:
    """Where the metrics go and what they are called."""

    host: Target | None = setting(
        None,
        kind=Kind("HOST:PORT", _target),
        help="Where a statsd listens: HOST:PORT (UDP), or unix:PATH. Setting it chooses this logger.",
    )
    prefix: str = setting("", kind=text, help="Put in front of every metric's name, with a dot between.")
    tags: str = setting(
        "",
        kind=text,
        aliases=("dogstatsd_tags",),
        help="Tags that every metric carries, with commas between (an extension of DogStatsD).",
    )
    backlog: bool = setting(
        False,
        kind=boolean,
        aliases=("enable_backlog_metric",),
        help="Send how many connections wait to be accepted (Linux).",
    )


def _wanted(settings: StatsdSettings) -> bool:
    return settings.host is not None


logger = LoggerType(
    name="statsd",
    open="hostler_statsd._logger:open_statsd",
    summary="the standard logger, with metrics sent to a statsd",
    settings=StatsdSettings,
    wanted=_wanted,
)
