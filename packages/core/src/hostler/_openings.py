"""Which connection object a socket gets: by the listener's scheme, by ALPN, by the first bytes.

Everything that depends only on the listener (limits, policy, protocols, what their connections share) is
made once per worker; an accepted socket costs one `Opening`. Refuses to know sockets and the driver's loop.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hostler import _protocols
from hostler._named import named
from hostler._sniff import Candidate, Proxied, ProxyLook, Sniffer
from hostler._values import ProtocolType, WorkerType
from hostler.http import Address, Connection, Limits, Opening, Policy, Transport
from hostler.http._trust import TrustList

if TYPE_CHECKING:
    import ssl

    from hostler._bind import Bind
    from hostler._configuration import Configuration
    from hostler._contexts import Listener
    from hostler._listeners import OpenListener
    from hostler.settings import Settings

JITTER = 0.1
"""Share of `keepalive_requests` by which connections differ, so that clients do not all come back at once."""

Connect = Callable[[Transport], Connection]


@dataclass(frozen=True, slots=True)
class _Speech:
    """One protocol as one listener offers it."""

    protocol: ProtocolType
    settings: Any
    connect: Connect


@dataclass(slots=True)
class _Door:
    """What all connections of one listener have in common."""

    listener: OpenListener
    policy: Policy
    by_alpn: Mapping[str, _Speech]
    default: _Speech
    """For a connection that says nothing about its protocol."""
    prefaces: Sequence[tuple[bytes, _Speech]]
    """Protocols told by their first bytes, on plain connections."""
    proxied: TrustList | None = None
    """The peers that begin with a PROXY header; None: nobody."""
    context: ssl.SSLContext | None = None
    only: Connect | None = None
    """For a plain connection where nothing about it is to be found out first."""


class Openings:
    """Makes the connections of one worker."""

    def __init__(
        self, configuration: Configuration, worker: WorkerType, listeners: Sequence[OpenListener]
    ) -> None:
        self._settings = configuration.settings
        self._tunnels = worker.tunnels
        self._keepalive = configuration.settings.keepalive > 0
        self._requests = configuration.settings.keepalive_requests
        self._spread = int(self._requests * JITTER)
        self._configuration = configuration
        self._listeners = tuple(listeners)
        self._doors: dict[Any, _Door] = {}

    def import_protocols(self) -> None:
        """Load every protocol's code and finish the TLS contexts: in the worker, before it is ready.

        Raises `ConfigError` for a listener that cannot be served as configured.
        """
        for listener in self._listeners:
            self._doors[listener] = self._door(listener)

    def connect(self, listener: Listener, transport: Transport) -> Connection:
        """The connection for a socket just accepted (and, with TLS, shaken hands with)."""
        door = self._doors[listener]
        only = door.only
        if only is not None and not transport.secure:
            return only(transport)
        if door.proxied is not None and not transport.secure and door.proxied.trusts(transport):
            mode = door.policy.proxy_protocol
            return Proxied(mode, lambda address: self._connect(door, _behind(transport, address)))
        return self._connect(door, transport)

    def _connect(self, door: _Door, transport: Transport) -> Connection:
        if transport.protocol:
            speech = door.by_alpn.get(transport.protocol, door.default)
        elif door.prefaces and not transport.secure:
            return Sniffer(self._candidates(door, transport))
        else:
            speech = door.default
        return speech.connect(transport)

    def tls(self, listener: Listener) -> ssl.SSLContext | None:
        """The listener's TLS context, one per worker; None for a plain one."""
        return self._doors[listener].context

    def proxied(self, listener: Listener, peer: Any = None) -> ProxyLook | None:
        """A reader for the PROXY header that this peer must send before TLS; None when it must not.

        `peer` is what `accept` returned; a Unix socket's says nothing.
        """
        door = self._doors[listener]
        if door.proxied is None:
            return None
        address = None if listener.unix or not peer else (str(peer[0]), int(peer[1]))
        transport = Transport(peer=address, local=None, unix=listener.unix)
        return ProxyLook(door.policy.proxy_protocol) if door.proxied.trusts(transport) else None

    # -- once per listener -----------------------------------------------------------------------------

    def _door(self, listener: OpenListener) -> _Door:
        bind = listener.bind
        sizes, rules = limits(self._settings), policy(bind, self._settings)
        speeches = [
            self._speech(protocol, sizes, rules) for protocol in _protocols.spoken(bind, self._configuration)
        ]
        by_alpn = {name: speech for speech in reversed(speeches) for name in speech.protocol.alpn}
        prefaces = [(one.protocol.preface, one) for one in speeches if _by_preface(one)]
        # HTTP/1.1 is what a client speaks that negotiated nothing (RFC 9113 section 3).
        plain = [one for one in speeches if not one.protocol.preface] or speeches
        door = _Door(listener, rules, by_alpn, plain[0], prefaces)
        if bind.proxy_protocol != "off":
            door.proxied = TrustList(bind.proxy_allow_ips)
        if listener.secure:
            from hostler import _tls  # noqa: PLC0415 - a worker without TLS does not pay for OpenSSL

            offered = _protocols.alpn(bind, self._configuration)
            door.context = _tls.finish(bind, self._settings, listener.context, offered)
        elif door.proxied is None and not prefaces:
            door.only = door.default.connect
        return door

    def _speech(self, protocol: ProtocolType, limits: Limits, policy: Policy) -> _Speech:
        """The protocol with what makes its connections. Each socket comes by there, so it looks up nothing."""
        opened: Callable[[Opening], Connection] = named(protocol.open)
        settings = self._configuration.own.get(protocol.name)
        shared: dict[str, Any] = {}
        keepalive, tunnels = self._keepalive, self._tunnels
        requests, spread, some = self._requests, self._spread, random.Random().random

        def connect(transport: Transport) -> Connection:
            most = requests - int(some() * spread)
            return opened(Opening(transport, limits, policy, most, keepalive, settings, tunnels, shared))

        return _Speech(protocol, settings, connect)

    # -- once per connection ---------------------------------------------------------------------------

    def _candidates(self, door: _Door, transport: Transport) -> list[Candidate]:
        def opener(speech: _Speech) -> Callable[[], Connection]:
            return lambda: speech.connect(transport)

        found = [Candidate(preface, opener(speech)) for preface, speech in door.prefaces]
        return [*found, Candidate(b"", opener(door.default))]


def _behind(transport: Transport, address: Address | None) -> Transport:
    """The transport as the PROXY header describes it.

    The client is the peer from now on, and is trusted no more than any other: the proxy passed its bytes on
    as they were, forwarding headers included.
    """
    return transport if address is None else replace(transport, peer=address, unix=False)


def _by_preface(speech: _Speech) -> bool:
    protocol = speech.protocol
    if not protocol.preface:
        return False
    return not protocol.cleartext or bool(getattr(speech.settings, protocol.cleartext, False))


def limits(settings: Settings) -> Limits:
    """The sizes that protocols count against."""
    return Limits(
        request_line=settings.limit_request_line or settings.limit_request_head,
        field=settings.limit_request_field_size or settings.limit_request_head,
        fields=settings.limit_request_fields,
        head=settings.limit_request_head,
        body=settings.limit_request_body,
    )


def policy(bind: Bind, settings: Settings) -> Policy:
    """The listener's rules for header fields and peers."""
    schemes = {
        k.lower().encode("latin-1"): v.encode("latin-1") for k, v in settings.secure_scheme_headers.items()
    }
    return Policy(
        header_map=settings.header_map,
        forwarder_headers=frozenset(name.lower().encode("latin-1") for name in settings.forwarder_headers),
        secure_scheme_headers=schemes,
        forwarded_allow=bind.forwarded_allow_ips,
        forwarded_for=settings.proxy_forwarded_for,
        strip_forwarded=settings.strip_forwarded,
        proxy_protocol=bind.proxy_protocol,
        proxy_allow=bind.proxy_allow_ips,
        gateway_allow=bind.uwsgi_allow_ips,
        permit_obsolete_folding=settings.permit_obsolete_folding,
        strip_header_spaces=settings.strip_header_spaces,
        permit_unconventional_http_method=settings.permit_unconventional_http_method,
        permit_unconventional_http_version=settings.permit_unconventional_http_version,
        casefold_http_method=settings.casefold_http_method,
        server_header=b"hostler" if settings.server_header else b"",
    )
