"""Which peers are believed: addresses, networks, `unix`, or everybody (spelled `*`).

Trust is per peer and never by header. Knows no socket: a peer comes as text.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from hostler.http._connection import Transport

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_IP = ipaddress.IPv4Address | ipaddress.IPv6Address
_KEPT = 1024


def address_of(text: str) -> _IP | None:
    """An IP address with IPv4-mapped IPv6 as IPv4; None for anything else."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address


def _network_of(text: str) -> _Network:
    network = ipaddress.ip_network(text, strict=True)
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        # Without host bits such a network is never larger than that of all mapped addresses.
        return ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


class TrustList:
    """The compiled form of one `…_allow` setting.

    Raises `ValueError` for an entry that is neither an address, a network without host bits, `*` nor `unix`.
    """

    __slots__ = ("_addresses", "_known", "_networks", "everybody", "unix")

    def __init__(self, entries: Iterable[str]) -> None:
        self.everybody = False
        self.unix = False
        self._addresses: set[_IP] = set()
        self._networks: list[_Network] = []
        self._known: dict[str, bool] = {}
        for entry in entries:
            if entry == "*":
                self.everybody = True
            elif entry == "unix":
                self.unix = True
            elif "/" in entry:
                self._networks.append(_network_of(entry))
            elif (address := address_of(entry)) is not None:
                self._addresses.add(address)
            else:
                raise ValueError(f"{entry!r} is not an address, a network, '*' or 'unix'")

    def names(self, text: str) -> bool:
        """An address or network of the list covers this address (`*` is not asked)."""
        known = self._known.get(text)
        if known is None:
            known = self._covers(address_of(text.partition("%")[0]))
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[text] = known
        return known

    def trusts(self, transport: Transport) -> bool:
        """The peer of this connection is believed."""
        if self.everybody:
            return True
        if transport.unix:
            return self.unix
        peer = transport.peer
        if peer is None:
            return False
        known = self._known.get(peer[0])
        return self.names(peer[0]) if known is None else known

    def _covers(self, address: _IP | None) -> bool:
        if address is None:
            return False
        return address in self._addresses or any(address in network for network in self._networks)
