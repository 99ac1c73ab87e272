"""Where the heads of a gateway connection come from: packets, each decoded into variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from hostler.gateway._variables import Names, head_of
from hostler.http import Connection, DateLine, FieldPolicy, Head, Opening, ProtocolError, TrustList
from hostler.http1._body import Body, LengthBody
from hostler.http1._connection import Http1Connection
from hostler.http1._known import Known
from hostler.http1._render import GATEWAY, Entry, Renderer, outline_of

_KEPT: Final = 128
_KEPT_SIZE: Final = 4096
_SEEN: Final = 1024


class PacketDecoder(Protocol):
    """What a gateway protocol brings."""

    kind: str
    """The word for the log when a packet is malformed (`uwsgi_bad`)."""

    def size(self, data: bytes | bytearray) -> int | None:
        """Octets of the packet that begins here, its header included; None while that cannot be told.

        Raises `ProtocolError` with status 0 for what is no packet: the connection is closed without an answer.
        """

    def variables(self, packet: bytes) -> dict[bytes, bytes]:
        """The variables of a whole packet. Raises `ProtocolError` with status 0."""


class PacketSource:
    """Reads packets for all connections of one listener."""

    __slots__ = ("_decoder", "_fields", "_kept", "_limits", "_names", "_seen", "known", "late")

    def __init__(self, decoder: PacketDecoder, opening: Opening, kept: bool) -> None:
        self._decoder = decoder
        self._kept = kept
        self._limits = opening.limits
        # What forwarding fields say is older than what the web server says itself, in its variables.
        self._fields = FieldPolicy(opening.policy, False, TrustList(()))
        self._names = Names()
        self._seen: set[int] = set()
        self.late = ProtocolError(0, decoder.kind, "the packet was not complete in time")
        self.known = Known()

    def glance(self, data: bytes) -> tuple[Entry | None, bytes]:
        """The head of the packet that these bytes begin with, and what follows it; None when it is incomplete."""
        size = self._decoder.size(data)
        if size is None or size > len(data):
            return None, data
        return self.read(data[:size]), data[size:]

    def read(self, packet: bytes) -> Entry:
        """The head of a whole packet. Raises `ProtocolError`."""
        entry = self.known.get(packet)
        if entry is None:
            head = head_of(self._decoder.variables(packet), self._fields, self._limits, self._names)
            entry = (head, outline_of(head.method, head.http_version, self._kept) | GATEWAY)
            if len(packet) <= _KEPT_SIZE:
                self._remember(packet, entry)
        return entry

    def _remember(self, packet: bytes, entry: Entry) -> None:
        """Keep what comes a second time: most packets never do, and what is kept of them is only in the way."""
        seen, mark = self._seen, hash(packet)
        if mark in seen:
            self.known.keep(packet, entry, _KEPT)
        else:
            if len(seen) >= _SEEN:
                seen.clear()
            seen.add(mark)

    def begin(self) -> PiecedPacket:
        """A packet that comes in pieces."""
        return PiecedPacket(self, self._decoder)

    def body(self, head: Head) -> Body:
        """A gateway has unframed the body and tells its length."""
        return LengthBody(head.length or 0)


class PiecedPacket:
    """One packet that did not come in one piece."""

    __slots__ = ("_decoder", "_source")

    def __init__(self, source: PacketSource, decoder: PacketDecoder) -> None:
        self._source = source
        self._decoder = decoder

    def take(self, buffer: bytearray) -> Entry | None:
        """The head of the packet, taken out of the buffer; None while it is incomplete."""
        size = self._decoder.size(buffer)
        if size is None or size > len(buffer):
            return None
        packet = bytes(buffer[:size])
        del buffer[:size]
        return self._source.read(packet)


class GatewayOpener:
    """Opens connections of one gateway protocol; its `open` is what a `ProtocolType` names.

    `kept`: the plugin's own settings -> whether the web server may send another packet after an answer of known
    length; otherwise every answer ends its connection, which tells its end to web servers that wait for nothing
    else.
    """

    __slots__ = ("_decoder", "_kept", "_name")

    def __init__(
        self, name: str, decoder: PacketDecoder, kept: Callable[[Any], bool] = lambda own: False
    ) -> None:
        self._name = name
        self._decoder = decoder
        self._kept = kept

    def open(self, opening: Opening) -> Connection:
        """The connection for a socket just accepted; a peer whose address `gateway_allow` does not name gets
        nothing."""
        shared = opening.shared.get(self._name)
        if shared is None:
            date = opening.shared.get("date") or DateLine()
            shared = opening.shared[self._name] = (
                PacketSource(self._decoder, opening, self._kept(opening.settings)),
                Renderer(opening.policy.server_header, date),
                TrustList(opening.policy.gateway_allow),
            )
        source, renderer, trust = shared
        # Who may open a Unix socket is what its file says; gunicorn's list is for addresses only, too.
        if not (opening.transport.unix or trust.trusts(opening.transport)):
            source = Refusal(f"{self._name}_forbidden")
        connection: Connection = Http1Connection(opening, source, renderer)
        return connection


class Refusal:
    """The source of a peer that may not speak the protocol: whatever comes ends the connection."""

    __slots__ = ("known", "late")

    def __init__(self, kind: str) -> None:
        self.late = ProtocolError(0, kind, "the peer may not speak this protocol")
        self.known = Known()

    def glance(self, data: bytes) -> tuple[Entry | None, bytes]:
        """Refuse."""
        raise self.late

    def begin(self) -> PiecedPacket:
        """Refuse."""
        raise self.late

    def body(self, head: Head) -> Body:
        """Refuse."""
        raise self.late
