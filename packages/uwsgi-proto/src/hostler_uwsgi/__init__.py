"""The uWSGI protocol for hostler, behind nginx: a plugin of the group `hostler.protocols`."""

from __future__ import annotations

from hostler.plugin import ProtocolType

from hostler_uwsgi._settings import UwsgiSettings

protocol = ProtocolType(
    name="uwsgi",
    open="hostler_uwsgi._connection:open_connection",
    summary="The uWSGI protocol, spoken by nginx (uwsgi_pass)",
    schemes=("uwsgi",),
    settings=UwsgiSettings,
    prompt=True,
)

__all__ = ["UwsgiSettings", "protocol"]
