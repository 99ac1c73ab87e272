"""A connection of the uWSGI protocol: the core's gateway connection with this protocol's packets."""

from __future__ import annotations

from typing import Final

from hostler.gateway import GatewayOpener
from hostler.plugin import Connection, Opening

from hostler_uwsgi._packet import UwsgiDecoder
from hostler_uwsgi._settings import UwsgiSettings

_OPENER: Final = GatewayOpener("uwsgi", UwsgiDecoder())


def open_connection(opening: Opening) -> Connection:
    """The connection for a socket just accepted."""
    own = opening.settings
    return _OPENER.open(opening, kept=isinstance(own, UwsgiSettings) and own.keepalive)
