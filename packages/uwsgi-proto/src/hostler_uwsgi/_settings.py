"""The settings of the uWSGI protocol, each with the prefix `uwsgi_`. Who may speak it is `uwsgi_allow_ips`."""

from __future__ import annotations

from dataclasses import dataclass

from hostler.settings import boolean, setting


@dataclass(frozen=True, slots=True)
class UwsgiSettings:
    """What a listener of the uWSGI protocol does beyond the core's settings."""

    keepalive: bool = setting(
        False,
        kind=boolean,
        help="Take another packet on the connection after an answer of known length. nginx opens a connection "
        "per request, and other web servers may wait for its end: leave it off unless yours reuses them.",
        section="uWSGI protocol",
    )
