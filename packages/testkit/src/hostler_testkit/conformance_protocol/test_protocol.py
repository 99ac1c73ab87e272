"""Every check of `hostler_testkit.protocol` with every vector, on the protocols named."""

from __future__ import annotations

from hostler.plugin import ProtocolType

from hostler_testkit.protocol import CHECKS


def test_protocol(
    hostler_protocol: ProtocolType, protocol_check: str, protocol_vector: tuple[str, bytes]
) -> None:
    """Byte by byte as whole, cut, with garbage, at its deadlines, when it is to stop, with bad answers."""
    name, octets = protocol_vector
    CHECKS[protocol_check](hostler_protocol, name, octets)
