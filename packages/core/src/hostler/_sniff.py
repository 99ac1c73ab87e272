"""Connections that do not know yet what they are: the first bytes decide, then they step aside (`Switch`).

They queue nothing and answer nothing: a request exists only on the connection that they hand over to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hostler.http import Address, Connection, Event, Gone, Headers, ProtocolError, Switch, Waiting
from hostler.http._proxy import ProxyReader


@dataclass(frozen=True, slots=True)
class Candidate:
    """A protocol that begins with `preface`; an empty one takes whatever no other wants."""

    preface: bytes
    open: Callable[[], Connection]


class Undecided:
    """What both have in common: there is no request yet, so no action on one has a meaning."""

    waiting = Waiting.FIRST
    reading = True
    closing = False
    abrupt = True
    multiplexed = False
    held = False

    def drain(self) -> None:
        """A connection that has not said anything goes on until its first deadline."""

    def outgoing(self) -> list[bytes]:
        return []

    def _gone(self, reason: str, kind: str = "") -> Sequence[Event]:
        self.closing = True
        return [Gone(None, reason, kind)]

    def resume(self) -> Sequence[Event]:
        return ()

    def inform(self, stream: int, status: int, headers: Headers = ()) -> None:
        raise _no_request(stream)

    def start(
        self, stream: int, status: int, headers: Headers, *, length: int | None = None, reason: bytes = b""
    ) -> None:
        raise _no_request(stream)

    def data(self, stream: int, block: bytes) -> None:
        raise _no_request(stream)

    def overrun(self, stream: int) -> int:
        return 0

    def end(self, stream: int, trailers: Headers = ()) -> None:
        raise _no_request(stream)

    def respond(
        self, stream: int, status: int, headers: Headers, body: bytes, reason: bytes, trailers: Headers = ()
    ) -> None:
        raise _no_request(stream)

    def abort(self, stream: int) -> None:
        self.closing = True

    def taken(self, stream: int, count: int) -> None:
        raise _no_request(stream)

    def proceed(self, stream: int) -> None:
        raise _no_request(stream)

    def backlog(self, stream: int) -> int:
        return 0

    def beside(self, stream: int, count: int) -> bool:
        return False

    def tunnel(self, stream: int, headers: Headers) -> None:
        raise _no_request(stream)


class Sniffer(Undecided):
    """Waits for as many bytes as tell its candidates apart."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = list(candidates)
        self._seen = b""

    def receive(self, data: bytes) -> Sequence[Event]:
        if not data and not self._seen:
            return self._gone("closed before the first byte")
        # A preface is at most a few dozen bytes, so the joined text stays short until it is decided.
        self._seen += data
        if data:
            self.waiting = Waiting.HEAD
        for candidate in self._candidates:
            preface = candidate.preface
            if self._seen.startswith(preface):
                return [_switch(candidate.open(), self._seen, ended=not data)]
            if data and preface.startswith(self._seen):
                return []
        return self._gone("speaks no protocol of this listener", "bad_request")

    def expire(self) -> Sequence[Event]:
        if not self._seen:
            return self._gone("sent nothing", "idle_new")
        # Part of a preface came: whoever takes the rest knows how to answer.
        connection = self._candidates[-1].open()
        return [Switch(connection, [*connection.receive(self._seen), *connection.expire()])]


class Proxied(Undecided):
    """Begins with a PROXY header, which names the client; what follows belongs to the connection it opens."""

    def __init__(self, mode: str, open_for: Callable[[Address | None], Connection]) -> None:
        self._reader = ProxyReader(mode)
        self._open_for = open_for
        self._begun = False

    def receive(self, data: bytes) -> Sequence[Event]:
        if not data:
            return self._gone("closed within the PROXY header", "proxy_bad" if self._begun else "")
        self._begun = True
        try:
            rest = self._reader.feed(data)
        except ProtocolError as error:
            return self._gone(error.reason, error.kind)
        if rest is None:
            self.waiting = Waiting.HEAD
            return []
        return [_switch(self._open_for(self._reader.address), rest, ended=False)]

    def expire(self) -> Sequence[Event]:
        return self._gone("no PROXY header in time", "proxy_bad")


class ProxyLook:
    """The same for a driver that must take the header off a socket before TLS begins."""

    def __init__(self, mode: str) -> None:
        self._mode = mode

    def look(self, seen: bytes) -> tuple[bool, Address | None, int]:
        """Bytes that were peeked at -> complete or not, the client's address, octets of the header.

        Raises `ValueError` for what is no PROXY header: close without an answer.
        """
        reader = ProxyReader(self._mode)
        try:
            rest = reader.feed(seen)
        except ProtocolError as error:
            raise ValueError(error.reason) from None
        if rest is None:
            return False, None, 0
        return True, reader.address, len(seen) - len(rest)


def _switch(connection: Connection, seen: bytes, *, ended: bool) -> Switch:
    events = list(connection.receive(seen)) if seen else []
    if ended:
        events += connection.receive(b"")
    return Switch(connection, events)


def _no_request(stream: int) -> RuntimeError:
    return RuntimeError(f"no request {stream}: the connection has not told its protocol yet")
