"""One SCGI connection as a value: one request, its answer, the end. No socket, no clock."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.plugin import (
    REASONS,
    Data,
    End,
    Event,
    FieldPolicy,
    Gone,
    Headers,
    Opening,
    ProtocolError,
    Request,
    ResponseError,
    ResponsePolicy,
    TrustList,
    Waiting,
    has_no_body,
)

from hostler_scgi._packet import cut, head_of


def open_connection(opening: Opening) -> ScgiConnection:
    """The connection for a socket just accepted."""
    return ScgiConnection(opening)


class ScgiConnection:
    """The contract is `hostler.plugin.Connection`; see there for what each member means."""

    multiplexed = False
    held = False

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._trusted = TrustList(opening.policy.gateway_allow).trusts(opening.transport)
        self._responses = ResponsePolicy()
        self._kept = b""
        self._asked = self._read = self._answered = False
        self._missing = 0  # octets of the request's body that have not come
        self._room = -1  # octets of the answer's body that Content-Length leaves; -1: any
        self._cut = 0
        self._bodiless = False
        self._out: list[bytes] = []
        self.waiting = Waiting.FIRST
        self.reading = True
        self.closing = False
        self.abrupt = False

    # -- reading ---------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> Sequence[Event]:
        """Take bytes of the gateway; `b""` is its end."""
        if self.closing or self._read:
            return ()
        if not data:
            return self._left("the gateway left")
        try:
            return self._head(data) if not self._asked else self._body(data)
        except ProtocolError as error:
            return self._refuse(error)

    def resume(self) -> Sequence[Event]:
        """Nothing is ever kept back."""
        return ()

    def expire(self) -> Sequence[Event]:
        """The deadline has passed: 408 to one that has begun."""
        if self.waiting is Waiting.NOTHING or self.closing:
            return ()
        if self.waiting is Waiting.FIRST:
            return self._left("nothing came in time", "idle_new")
        kind = "header_timeout" if self.waiting is Waiting.HEAD else "body_slow"
        return self._refuse(ProtocolError(408, kind, "the request did not come in time"))

    def _head(self, data: bytes) -> Sequence[Event]:
        if not self._trusted:
            raise ProtocolError(403, "gateway_untrusted", "this peer may not speak for others")
        self._kept += data
        self.waiting = Waiting.HEAD
        found = cut(self._kept, self._opening.limits)
        if found is None:
            return ()
        policy = FieldPolicy.of(self._opening.policy, self._opening.transport)
        head = head_of(found[0], policy, self._opening.limits)
        self._asked = True
        self._kept = b""
        self._missing = head.length or 0
        self._bodiless = head.method == "HEAD"
        self._read = not self._missing
        self.waiting = Waiting.NOTHING if self._read else Waiting.BODY
        request = Request(1, head, self._read)
        return (request, *self._body(found[1])) if self._missing and found[1] else (request,)

    def _body(self, data: bytes) -> Sequence[Event]:
        block = data[: self._missing]
        self._missing -= len(block)
        if self._missing:
            return (Data(1, block),)
        self._read = True
        self.waiting = Waiting.NOTHING
        return (Data(1, block), End(1))

    def _refuse(self, error: ProtocolError) -> Sequence[Event]:
        if not self._answered:
            self._answered = True
            page = error.reason.encode() + b"\n"
            self._write_head(error.status, ((b"Content-Type", b"text/plain"),), b"", len(page))
            self._out.append(page)
        self._finish()
        return (Gone(1 if self._asked else None, error.reason, error.kind),)

    def _left(self, reason: str, kind: str = "") -> Sequence[Event]:
        self.abrupt = True
        self._finish()
        return (Gone(1 if self._asked else None, reason, kind),)

    def _finish(self) -> None:
        self.closing = True
        self.reading = False
        self.waiting = Waiting.NOTHING

    # -- writing ---------------------------------------------------------------------------------------

    def inform(self, stream: int, status: int, headers: Headers = ()) -> None:
        """A gateway takes one head only: the fields are checked, and nothing is sent."""
        self._responses.check(headers)

    def start(
        self, stream: int, status: int, headers: Headers, *, length: int | None = None, reason: bytes = b""
    ) -> None:
        """The head, as CGI writes it."""
        examined = self._responses.examine(status, headers, reason)
        if self._answered:
            raise ResponseError("a second start")
        self._answered = True
        if examined.length is not None:
            length = examined.length
        self._bodiless = self._bodiless or has_no_body(status)
        self._write_head(status, examined.fields, reason, None if has_no_body(status) else length)
        self._room = -1 if length is None else length

    def _write_head(self, status: int, fields: Headers, reason: bytes, length: int | None) -> None:
        lines = [b"Status: %d %b" % (status, reason or REASONS.get(status, b"Unknown"))]
        lines += [b"%b: %b" % field for field in fields]
        if length is not None:
            lines.append(b"Content-Length: %d" % length)
        self._out.append(b"\r\n".join([*lines, b"", b""]))

    def data(self, stream: int, block: bytes) -> None:
        """Octets of the body, cut where Content-Length has no room."""
        if self.closing:
            return
        if self._room >= 0:
            self._cut += max(0, len(block) - self._room)
            block = block[: self._room]
            self._room -= len(block)
        if block and not self._bodiless:
            self._out.append(block)

    def end(self, stream: int, trailers: Headers = ()) -> None:
        """The end of the connection is the end of the answer; a missing rest shows by Content-Length."""
        self._finish()

    def respond(
        self, stream: int, status: int, headers: Headers, body: bytes, reason: bytes, trailers: Headers = ()
    ) -> None:
        """The whole answer at once."""
        self.start(stream, status, headers, length=len(body), reason=reason)
        self.data(stream, body)
        self.end(stream, trailers)

    def abort(self, stream: int) -> None:
        """Nothing more comes; the gateway sees a body without its end."""
        self.abrupt = True
        self._finish()

    def taken(self, stream: int, count: int) -> None:
        """The driver reads no more than the application takes; nothing is counted here."""

    def proceed(self, stream: int) -> None:
        """The gateway has told its client already."""

    def overrun(self, stream: int) -> int:
        """Octets that were cut."""
        return self._cut

    def backlog(self, stream: int) -> int:
        """There is no flow control."""
        return 0

    def beside(self, stream: int, count: int) -> bool:
        """Whether the driver may write `count` octets itself, which is so when they are what was promised."""
        return not self._bodiless and self._room == count

    def tunnel(self, stream: int, headers: Headers) -> None:
        """SCGI has none."""
        raise ResponseError("SCGI carries no tunnels")

    def drain(self) -> None:
        """One request is all that a connection carries anyway."""

    def outgoing(self) -> list[bytes]:
        """What is to be written."""
        out, self._out = self._out, []
        return out
