"""The protocol `scgi`. This module stays light: it is imported for `--help`; the code is in `_connection`."""

from hostler.plugin import ProtocolType

protocol = ProtocolType(
    name="scgi",
    open="hostler_scgi._connection:open_connection",
    summary="SCGI: one request a connection, its variables in a netstring",
    schemes=("scgi",),
    prompt=True,  # a web server sends its request as soon as it is connected
)

__all__ = ["protocol"]
