"""A connection that knows several protocols and not yet which: the first bytes decide, then it steps aside.

It queues nothing and answers nothing; every action on it is the protocol's that it hands over to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hostler.http import Connection, Event, Gone, Headers, Switch, Waiting


@dataclass(frozen=True, slots=True)
class Candidate:
    """A protocol that begins with `preface`; an empty one takes whatever no other wants."""

    preface: bytes
    open: Callable[[], Connection]


class Sniffer:
    """Waits for as many bytes as tell the candidates apart, then answers `Switch`."""

    waiting = Waiting.FIRST
    reading = True
    closing = False
    abrupt = True
    multiplexed = False
    held = False

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = list(candidates)
        self._seen = b""

    def receive(self, data: bytes) -> Sequence[Event]:
        if not data and not self._seen:
            self.closing = True
            return [Gone(None, "closed before the first byte")]
        # A preface is at most a few dozen bytes, so the joined text stays short until it is decided.
        self._seen += data
        if data:
            self.waiting = Waiting.HEAD
        for candidate in self._candidates:
            preface = candidate.preface
            if self._seen.startswith(preface):
                return [self._switch(candidate.open(), ended=not data)]
            if data and preface.startswith(self._seen):
                return []
        self.closing = True
        return [Gone(None, "speaks no protocol of this listener", "bad_request")]

    def _switch(self, connection: Connection, *, ended: bool) -> Switch:
        events = list(connection.receive(self._seen))
        if ended:
            events += connection.receive(b"")
        return Switch(connection, events)

    def expire(self) -> Sequence[Event]:
        if self._seen:
            # Part of a preface came: whoever takes the rest knows how to answer.
            connection = self._candidates[-1].open()
            events = [*connection.receive(self._seen), *connection.expire()]
            return [Switch(connection, events)]
        self.closing = True
        return [Gone(None, "sent nothing", "idle_new")]

    def drain(self) -> None:
        """A connection that has not said anything goes on until its first deadline."""

    def outgoing(self) -> list[bytes]:
        return []

    # -- actions on requests: there is none before the switch ------------------------------------------

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


def _no_request(stream: int) -> RuntimeError:
    return RuntimeError(f"no request {stream}: the connection has not told its protocol yet")
