"""The core's contract for one HTTP/2 connection: bytes in, events out; actions in, bytes out.

Reads no clock but the one it is given, and that one only for rates. States of a stream: RFC 9113 section 5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hostler.plugin import (
    Event,
    Gone,
    Headers,
    Opening,
    ResponseError,
    Waiting,
)

from hostler_http2 import _frames as f
from hostler_http2._control import on_unknown
from hostler_http2._handlers import HANDLERS
from hostler_http2._hpack import Decoder
from hostler_http2._patience import Patience
from hostler_http2._session import Session
from hostler_http2._shared import Shared
from hostler_http2._streams import Stream

MAX_CONTROL = 1000
MAX_QUEUED = 1 << 20
"""Frames that answer control frames, and octets of bodies, that may wait to be written."""


def open_connection(opening: Opening) -> Connection:
    """The connection for one accepted socket."""
    shared: Any = opening.shared.get("http2")
    if shared is None:
        shared = opening.shared["http2"] = Shared(opening)
    return Connection(opening, shared)


class Connection:
    """One HTTP/2 connection."""

    multiplexed = True

    def __init__(self, opening: Opening, shared: Shared) -> None:
        self._session = session = Session(
            shared.own,
            opening.limits,
            shared.answers,
            shared.maker(opening),
            Decoder(shared.limit, shared.words),
            shared.clock,
        )
        session.max_requests = opening.max_requests
        self._patience = Patience(session)
        self._keepalive = opening.keepalive
        self._preface = b""
        """What has come of the preface until it is complete."""
        self._past_preface = False
        self._ended = False
        """The peer has finished sending."""
        self._credited = False
        self.abrupt = False
        session.sender.push(shared.greeting)

    # -- what the driver looks at ----------------------------------------------------------------------

    @property
    def closing(self) -> bool:
        return self._session.closing

    @property
    def reading(self) -> bool:
        sender = self._session.sender
        return sender.control <= MAX_CONTROL and sender.size <= MAX_QUEUED

    @property
    def held(self) -> bool:
        """Events that came of actions wait to be told, or credit to be written: uploads stand still without it."""
        return self._credited or bool(self._session.events)

    @property
    def waiting(self) -> Waiting:
        session = self._session
        if not self._past_preface:
            return Waiting.HEAD if self._preface else Waiting.FIRST
        if session.assembly is not None or not session.greeted:
            return Waiting.HEAD
        if not session.streams:
            return Waiting.HEAD if session.frames.partial else Waiting.IDLE
        return Waiting.BODY if self._patience.awaits() else Waiting.NOTHING

    # -- bytes in --------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> Sequence[Event]:
        session = self._session
        if session.closing:
            return ()
        if not data:
            return self._finished()
        try:
            self._patience.look()
            if not self._past_preface:
                data = self._greet(data)
            frames, error = session.frames.cut(data)
            for kind, flags, number, payload in frames:
                if session.assembly is not None and (
                    kind != f.CONTINUATION or number != session.assembly.number
                ):
                    raise f.ConnectionBroken(f.PROTOCOL_ERROR, "a frame inside a header block")
                if not session.greeted and (kind != f.SETTINGS or flags & f.ACK):
                    raise f.ConnectionBroken(
                        f.PROTOCOL_ERROR, "a connection that does not begin with SETTINGS"
                    )
                HANDLERS.get(kind, on_unknown)(session, flags, number, payload)
            if error is not None:
                raise error
            if session.sender.control > MAX_CONTROL:
                raise f.ConnectionBroken(
                    f.ENHANCE_YOUR_CALM, "control frames faster than answers", "h2_queue"
                )
        except f.ConnectionBroken as broken:
            session.broken(broken)
        return self._events()

    def _greet(self, data: bytes) -> bytes:
        """Take the preface (RFC 9113 section 3.4); returns what comes behind it."""
        # At most two dozen octets are ever joined here.
        seen = self._preface + data[: len(f.PREFACE) - len(self._preface)]
        if not f.PREFACE.startswith(seen):
            raise f.ConnectionBroken(f.PROTOCOL_ERROR, "no HTTP/2 preface")
        rest = data[len(seen) - len(self._preface) :]
        self._preface = seen
        self._past_preface = len(seen) == len(f.PREFACE)
        return rest

    def _finished(self) -> Sequence[Event]:
        """The peer sends no more: what is complete is answered as far as its windows let it."""
        session = self._session
        self._ended = True
        if session.assembly is not None or not self._past_preface:
            self.abrupt = True
            session.broken(f.ConnectionBroken(f.NO_ERROR, "closed inside a head", ""))
            return self._events()
        for stream in list(session.streams.values()):
            if not stream.remote_ended and not stream.closed:
                session.lose(stream, "the client left before the end of its request")
        self._settle()
        return self._events()

    def resume(self) -> Sequence[Event]:
        self._credited = False
        return self._events()

    def expire(self) -> Sequence[Event]:
        session = self._session
        waiting = self.waiting
        if waiting is Waiting.FIRST:
            session.closing = self.abrupt = True
            session.events.append(Gone(None, "sent nothing", "idle_new"))
        elif waiting is Waiting.HEAD:
            session.broken(
                f.ConnectionBroken(f.ENHANCE_YOUR_CALM, "a head that took too long", "header_timeout")
            )
        elif waiting is Waiting.IDLE:
            session.leave()
            session.events.append(Gone(None, "idle"))
        elif waiting is Waiting.BODY:
            try:
                self._patience.expire()
            except f.ConnectionBroken as broken:
                session.broken(broken)
        return self._events()

    def _events(self) -> Sequence[Event]:
        session = self._session
        events, session.events = session.events, []
        return events

    # -- actions on requests ---------------------------------------------------------------------------

    def _stream(self, number: int) -> Stream | None:
        """The stream, while there is anything to be done on it."""
        stream = self._session.streams.get(number)
        return None if stream is None or stream.closed or stream.done else stream

    def inform(self, stream: int, status: int, headers: Headers = ()) -> None:
        session = self._session
        block = session.answers.interim(status, headers)
        found = self._stream(stream)
        if found is None:
            return
        if found.started:
            raise ResponseError("an interim response after the final one")
        session.sender.headers(stream, session.first(block))

    def start(
        self, stream: int, status: int, headers: Headers, *, length: int | None = None, reason: bytes = b""
    ) -> None:
        session = self._session
        found = session.streams.get(stream)
        if found is None or found.closed or found.done:
            return
        if found.started:
            raise ResponseError("a second start")
        answer = session.answers.answer(status, headers, length, found.head.method == "HEAD")
        found.started = True
        found.bare = answer.bare
        found.allowed = answer.length
        found.block = session.first(answer.block)
        session.sender.wants(found)

    def data(self, stream: int, block: bytes) -> None:
        found = self._stream(stream)
        if found is None:
            return
        if not found.started:
            raise ResponseError("data before the start of the response")
        if found.bare or not block:
            return
        if found.allowed is not None:
            if len(block) > found.allowed:
                found.cut += len(block) - found.allowed
                block = block[: found.allowed]
            found.allowed -= len(block)
            if not block:
                return
        found.put(block)
        self._session.sender.wants(found)

    def overrun(self, stream: int) -> int:
        found = self._session.streams.get(stream)
        return 0 if found is None else found.cut

    def end(self, stream: int, trailers: Headers = ()) -> None:
        session = self._session
        found = session.streams.get(stream)
        if found is None or found.done:
            return
        if found.closed:
            found.done = True
            session.release(found)
            return
        if not found.started:
            raise ResponseError("the end of a response before its start")
        found.done = True
        if found.allowed and not found.bare:
            session.reset(found, f.INTERNAL_ERROR, "a body shorter than its Content-Length", provoked=False)
            return
        if trailers and not found.bare:
            found.trailers = session.answers.trailers(trailers)
        found.finished = True
        if found.untaken:
            session.give(found.untaken)
            found.untaken = 0
        session.sender.wants(found)

    def respond(
        self, stream: int, status: int, headers: Headers, body: bytes, reason: bytes, trailers: Headers = ()
    ) -> None:
        self.start(stream, status, headers, length=len(body), reason=reason)
        self.data(stream, body)
        self.end(stream, trailers)

    def abort(self, stream: int) -> None:
        session = self._session
        found = session.streams.get(stream)
        if found is None:
            return
        finished = found.done
        found.done = True
        if found.closed:
            session.release(found)
        elif not finished:
            session.reset(found, f.INTERNAL_ERROR, "the answer could not be completed", provoked=False)

    def taken(self, stream: int, count: int) -> None:
        session = self._session
        found = session.streams.get(stream)
        if found is None or found.closed:
            return
        count = min(count, found.untaken)
        found.untaken -= count
        queued = len(session.sender.out)
        session.give(count)
        session.give_stream(found, count)
        if len(session.sender.out) > queued:
            self._credited = True

    def proceed(self, stream: int) -> None:
        found = self._stream(stream)
        if found is None or found.continued or found.started or found.received:
            return
        found.continued = True
        self.inform(stream, 100)

    def backlog(self, stream: int) -> int:
        found = self._session.streams.get(stream)
        return 0 if found is None else found.backlog

    def beside(self, stream: int, count: int) -> bool:
        """Bodies are framed here: nothing may be written beside them."""
        return False

    def tunnel(self, stream: int, headers: Headers) -> None:
        session = self._session
        found = self._stream(stream)
        if found is None:
            return
        if found.started or not found.head.upgrade:
            raise ResponseError("a tunnel that was not asked for, or after the start of a response")
        block = session.answers.tunnel(headers)
        found.started = found.tunnel = True
        found.block = session.first(block)
        session.sender.wants(found)

    # -- the connection --------------------------------------------------------------------------------

    def drain(self) -> None:
        session = self._session
        if not self._past_preface and not session.closing:
            session.leave()
        else:
            session.drain()

    def outgoing(self) -> list[bytes]:
        session = self._session
        sender = session.sender
        for stream in sender.schedule():
            session.finish(stream)
        if not session.closing:
            self._settle()
        out, sender.out = sender.out, []
        sender.control = sender.size = 0
        self._credited = False
        return out

    def _settle(self) -> None:
        """Close when nothing is in service and nothing more may come."""
        session = self._session
        if self._ended:
            for stream in list(session.sender.blocked):
                session.lose(stream, "the client left before it had read its answer")
        if session.streams:
            return
        if self._ended or session.peer_leaves:
            session.leave()
        elif session.final:
            session.closing = True
        elif (session.draining and not session.announced) or (session.requests and not self._keepalive):
            session.leave()
