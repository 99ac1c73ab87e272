"""A connection of the uWSGI protocol: the core's gateway connection with this protocol's packets."""

from __future__ import annotations

from hostler.gateway import GatewayOpener

from hostler_uwsgi._packet import UwsgiDecoder
from hostler_uwsgi._settings import UwsgiSettings


def _kept(own: object) -> bool:
    return isinstance(own, UwsgiSettings) and own.keepalive


open_connection = GatewayOpener("uwsgi", UwsgiDecoder(), _kept).open
"""The connection for a socket just accepted."""
