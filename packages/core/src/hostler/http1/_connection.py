"""One HTTP/1 connection as a value: bytes in, events out; actions in, bytes out (RFC 9112).

Brings reading (heads, bodies) and writing (answers) together and keeps their order. Knows no socket, no
clock and no setting; what it may read, and how answers look, is told by its limits and policy.

One request is in service at a time; what a client sends ahead is kept, up to `Limits.read_ahead`. After a
framing error nothing more is parsed, whatever was read already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hostler.http import (
    Data,
    End,
    Event,
    Gone,
    Head,
    Headers,
    Opening,
    ProtocolError,
    Request,
    ResponseError,
    Waiting,
)
from hostler.http1._body import LengthBody
from hostler.http1._inbox import HeadSource, Inbox
from hostler.http1._outbox import Outbox
from hostler.http1._render import CONTINUE, GATEWAY, HEADLESS, KEEP, OLD, Entry, Renderer
from hostler.http1._table import BODY, DEAF, DONE, HEAD, IDLE, OWED, OWN, PEER, SENDING, TUNNEL, On
from hostler.http1._upload import Upload

# What a usual request comes by, looked up once.
_BEGUN, _WHOLE = PEER[IDLE][On.BYTES], PEER[BODY][On.END]
_BARE, _LADEN = PEER[HEAD][On.BARE], PEER[HEAD][On.LADEN]
_AFTER_REQUEST, _AFTER_START, _AFTER_END = OWN[IDLE][On.REQUEST], OWN[OWED][On.START], OWN[SENDING][On.END]
_NEXT_PEER, _NEXT_OWN = PEER[DONE][On.NEXT], OWN[DONE][On.NEXT]
_FOR_FIRST, _FOR_NEXT, _FOR_NOTHING = Waiting.FIRST, Waiting.IDLE, Waiting.NOTHING
_NO_HEAD: Final = Head(method="", target=b"", path=b"", query=b"", http_version="", headers=())
_NO_UPLOAD: Final = Upload(_NO_HEAD, LengthBody(0), 0)
_NOTHING: Final[Sequence[Event]] = ()


class Http1Connection:
    """The contract is `hostler.http.Connection`; see there for what each member means."""

    multiplexed = False

    def __init__(self, opening: Opening, reader: HeadSource, renderer: Renderer) -> None:
        self._reader, self._renderer = reader, renderer
        self._known = reader.known
        self._limits = opening.limits
        self._max_requests = opening.max_requests
        self._lasting, self._secure = opening.keepalive, opening.transport.secure
        self._peer = self._own = IDLE
        self._inbox = Inbox()
        self._outbox = Outbox()
        self._head, self._upload = _NO_HEAD, _NO_UPLOAD
        self._eof, self._stream = False, 0
        self._outline = 0  # of the answer in service: whether the connection goes on, and the like
        self.outgoing = self._outbox.take
        self.waiting = _FOR_FIRST
        self.reading = True
        self.closing = self.abrupt = self.held = False

    # -- reading ---------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> Sequence[Event]:
        """Take bytes of the peer; `b""` is its end. Bad input becomes an answer and a `Gone`."""
        if self._peer is IDLE and len(data) in self._known.sizes:
            # The whole head in one read, and the same bytes as before: nothing to parse.
            entry = self._known.get(data)
            if entry is not None and entry[0].length == 0:
                self._peer = _BARE
                self._begin(entry)
                return (Request(self._stream, entry[0], True),)
        if not data:
            return self._finished()
        try:
            return self._take(data)
        except ProtocolError as error:
            return self._refuse(error)

    def resume(self) -> Sequence[Event]:
        """Go on with what the client sent ahead."""
        self.held = False
        events = _NOTHING
        if self._peer is TUNNEL:
            block = self._inbox.take()
            events = (Data(self._stream, block),) if block else _NOTHING
        elif self._peer is HEAD:
            try:
                events = self._read_head()
            except ProtocolError as error:
                return self._refuse(error)
        return (*events, *self._finished()) if self._eof else events

    def expire(self) -> Sequence[Event]:
        """The deadline of `waiting` has passed: 408 to a slow request, silence to an idle connection."""
        if self.waiting is Waiting.HEAD:
            return self._refuse(self._reader.late)
        if self.waiting is Waiting.BODY:
            return self._refuse(ProtocolError(408, "body_slow", "the body came too slowly"))
        if self.waiting is _FOR_NOTHING:
            return _NOTHING
        gone = Gone(None, "nothing came in time", "idle_new" if self.waiting is _FOR_FIRST else "")
        self._stop(abrupt=True)
        return (gone,)

    def _take(self, data: bytes) -> Sequence[Event]:
        peer = self._peer
        if peer is BODY:
            return self._read_body(data)
        if peer is IDLE:
            self._peer = _BEGUN
            entry, rest = self._reader.glance(data)
            if entry is not None:
                return self._tell(entry, rest)
        if peer is IDLE or peer is HEAD:
            self._inbox.add(data)
            return self._read_head()
        if peer is DONE:
            self._keep_ahead(data)
        elif peer is TUNNEL:
            self.held = False
            return (Data(self._stream, self._inbox.take() + data),)
        return _NOTHING

    def _read_head(self) -> Sequence[Event]:
        inbox = self._inbox
        entry = inbox.head(self._reader)
        if entry is None:
            self.waiting = Waiting.HEAD
            return _NOTHING
        return self._tell(entry, inbox.take() if entry[0].length != 0 else b"")

    def _tell(self, entry: Entry, rest: bytes) -> Sequence[Event]:
        head = entry[0]
        if head.length == 0:
            self._peer = _BARE
            self._begin(entry)
            self._keep_ahead(rest)
            return (Request(self._stream, head, True),)
        self._peer = _LADEN
        self._begin(entry)
        request = Request(self._stream, head, False)
        if head.length == len(rest):  # nothing to wait for, or to frame
            self._peer = _WHOLE
            return (request, Data(self._stream, rest), End(self._stream))
        upload = self._upload = Upload(head, self._reader.body(head), self._limits.read_ahead)
        if not rest:
            self._wait_for_body(upload)
            return (request,)
        try:
            return (request, *self._read_body(rest))
        except ProtocolError as error:
            return (request, *self._refuse(error))

    def _keep_ahead(self, data: bytes) -> None:
        """Keep what the client sent ahead, and read no more when that is enough."""
        self._inbox.add(data)
        self.reading = not self._eof and len(self._inbox.kept) < self._limits.read_ahead

    def _begin(self, entry: Entry) -> None:
        """A request is told: from now on the application has the word."""
        self._own = _AFTER_REQUEST
        stream = self._stream = self._stream + 1
        self._head, self._outline = entry
        if not self._lasting or stream == self._max_requests:
            self._outline &= ~KEEP
        self.waiting = _FOR_NOTHING

    def _read_body(self, data: bytes) -> Sequence[Event]:
        upload = self._upload
        if self._own is DONE:
            return self._read_unwanted(upload, data)
        block, rest = upload.feed(data)
        if rest is None:
            self._wait_for_body(upload)
            return (Data(self._stream, block),) if block else _NOTHING
        self._peer = _WHOLE
        self._keep_ahead(rest)
        self.waiting = _FOR_NOTHING
        end = End(self._stream, upload.trailers)
        return (Data(self._stream, block), end) if block else (end,)

    def _read_unwanted(self, upload: Upload, data: bytes) -> Sequence[Event]:
        """The answer is out and the rest of the body is not wanted: read a little of it, or close."""
        rest = upload.skip(data)
        if upload.too_long:
            self._stop()
        elif rest is not None:
            self._peer = _WHOLE
            self._inbox.add(rest)
            self._next()
            return self.resume() if self.held else _NOTHING
        return _NOTHING

    def _wait_for_body(self, upload: Upload) -> None:
        self.reading = upload.welcome
        self.waiting = Waiting.BODY if self.reading and not upload.due else _FOR_NOTHING

    def _finished(self) -> Sequence[Event]:
        """The peer will send no more."""
        self._eof = True
        self.reading = False
        if self.held:
            return self.resume()  # what was sent before the end comes before it
        if self._peer is DONE and not self._inbox.kept:
            # A client may close its half once its request is complete: it still reads its answer.
            self._outline &= ~KEEP
        if self._peer is DONE or self._peer is DEAF:
            return _NOTHING
        if self._peer is BODY and self._own is not DONE:
            return self._refuse(ProtocolError(400, "", "the peer closed before the end of the body"))
        gone = Gone(self._stream if self._peer is TUNNEL else None, "the peer closed")
        self._stop(abrupt=not self._outbox)
        return (gone,)

    def _refuse(self, error: ProtocolError) -> Sequence[Event]:
        """Answer a peer's mistake if its answer has not begun, and parse nothing more."""
        own, stream, abrupt = self._own, None, False
        if not error.status:
            abrupt = True
        elif own is OWED:
            stream = self._stream
            self._outbox.put(self._renderer.refusal(error.status, bool(self._outline & HEADLESS)))
        elif own is IDLE:
            self._outbox.put(self._renderer.refusal(error.status, False))
        elif own is SENDING:
            stream, abrupt = self._stream, True
        self._stop(abrupt)
        return (Gone(stream, error.reason, error.kind),)

    def _stop(self, abrupt: bool = False) -> None:
        self._peer = PEER[self._peer][On.STOP]
        self._own = OWN[self._own][On.STOP]
        if self._inbox.kept:
            self._inbox.clear()
        self.held = self.reading = False
        self.waiting = _FOR_NOTHING
        self.closing = True
        self.abrupt = abrupt

    # -- writing ---------------------------------------------------------------------------------------

    def _misplaced(self, stream: int, mistake: str) -> None:
        """An action in a state that has no place for it: a mistake, unless its stream is gone."""
        if stream == self._stream and not self.closing:
            raise ResponseError(mistake)

    def inform(self, stream: int, status: int, headers: Headers = ()) -> None:
        """Send an interim response; nothing on HTTP/1.0. Raises `ResponseError` for a bad field or after `start`."""
        block = self._renderer.interim(status, headers)
        if stream != self._stream or self._own is not OWED:
            self._misplaced(stream, "an interim response after the final head")
        elif not self._outline & (OLD | GATEWAY):
            self._outbox.put(block)

    def start(
        self, stream: int, status: int, headers: Headers, *, length: int | None = None, reason: bytes = b""
    ) -> None:
        """Send the final head. Raises `ResponseError`: then nothing was sent, and another may be tried."""
        if stream != self._stream or self._own is not OWED:
            self._misplaced(stream, "a second head for one request")
            return
        if self._peer is BODY and self._upload.due:
            # Whether the body comes now is for the client to choose, so its end cannot be told from a request.
            self._outline &= ~KEEP
        answer = self._renderer.answer(status, reason, headers, length, self._outline)
        self._own = _AFTER_START
        if not answer.keep:
            self._outline &= ~KEEP
        self._outbox.begin(answer)

    def data(self, stream: int, block: bytes) -> None:
        """Send octets of the body, cut to Content-Length. Raises `ResponseError` before `start`."""
        if stream == self._stream and self._own is SENDING:
            self._outbox.write(block)
        elif stream == self._stream and self._own is TUNNEL:
            self._outbox.put(bytes(block))
        else:
            self._misplaced(stream, "a body without a head, or after its end")

    def overrun(self, stream: int) -> int:
        """Octets that `data` has cut since `start`."""
        return self._outbox.cut if stream == self._stream else 0

    def end(self, stream: int, trailers: Headers = ()) -> None:
        """The answer is complete. Raises `ResponseError` before `start` and for a bad trailer."""
        if stream != self._stream or self._own is not SENDING:
            if self._own is TUNNEL and stream == self._stream:
                self._stop()
            else:
                self._misplaced(stream, "the end of an answer without a head")
            return
        section = b""
        if trailers:
            section = self._renderer.trailers(trailers)
            if not self._head.trailers_welcome:
                section = b""
        if not self._outbox.finish(section):
            # Shorter than its Content-Length: only the end of the connection can tell the client.
            self._stop(abrupt=True)
            return
        self._own = _AFTER_END
        if self._peer is DONE:
            self._next()
        else:
            self._leave_body()

    def respond(
        self, stream: int, status: int, headers: Headers, body: bytes, reason: bytes, trailers: Headers = ()
    ) -> None:
        """The whole answer at once. Raises `ResponseError` as `start`, `data` and `end` do."""
        if self._own is OWED and self._peer is DONE and stream == self._stream and not trailers:
            answer = self._renderer.answer(status, reason, headers, len(body), self._outline)
            if self._outbox.whole(answer, body):
                if not answer.keep:
                    self._outline &= ~KEEP
                self._own = _AFTER_END
                self._next()
                return
        self.start(stream, status, headers, length=None if trailers else len(body), reason=reason)
        self.data(stream, body)
        self.end(stream, trailers)

    def _leave_body(self) -> None:
        if not self._outline & KEEP or self._upload.too_long:
            self._stop()
            return
        self.reading = True
        self.waiting = Waiting.BODY

    def _next(self) -> None:
        """Both sides of the exchange are complete: the next request, or the end."""
        if not self._outline & KEEP:
            self._stop()
            return
        self._peer, self._own = _NEXT_PEER, _NEXT_OWN
        self.reading = not self._eof
        self.waiting = _FOR_NEXT
        if self._inbox.kept:
            self._peer = _BEGUN
            self.waiting = Waiting.HEAD
            self.held = True

    def abort(self, stream: int) -> None:
        """The answer cannot be completed: end the connection without the end that its framing promised."""
        if stream == self._stream and not self.closing and self._own is not IDLE:
            self._stop(abrupt=True)

    def taken(self, stream: int, count: int) -> None:
        """The application has consumed octets of the body: read on."""
        if stream == self._stream and self._peer is BODY and self._own is not DONE:
            upload = self._upload
            upload.taken(count)
            self._wait_for_body(upload)

    def proceed(self, stream: int) -> None:
        """The application wants the body: send the 100 (Continue) that the client waits for, once."""
        if stream == self._stream and self._peer is BODY and self._own is OWED:
            upload = self._upload
            if upload.due:
                upload.due = False
                self._outbox.put(CONTINUE)
                self._wait_for_body(upload)

    def backlog(self, stream: int) -> int:
        """HTTP/1 has no flow control of its own."""
        return 0

    def beside(self, stream: int, count: int) -> bool:
        """Allow sendfile for a body of known length in plain text."""
        if self._secure or stream != self._stream or self._own is not SENDING:
            return False
        return self._outbox.skip(count)

    def tunnel(self, stream: int, headers: Headers) -> None:
        """Accept the upgrade that the head asked for. Raises `ResponseError` when it asked for none."""
        if stream != self._stream or self._own is not OWED:
            self._misplaced(stream, "an upgrade after the final head")
            return
        head = self._head
        if not head.upgrade:
            raise ResponseError("an upgrade that the client did not ask for")
        self._outbox.put(self._renderer.switch(head.upgrade, headers))
        self._peer = PEER[DONE][On.SWITCH]
        self._own = OWN[OWED][On.SWITCH]
        self.waiting = _FOR_NOTHING
        self.reading = not self._eof
        self.held = self._eof or bool(self._inbox.kept)

    def drain(self) -> None:
        """Let the answer in service be the last; an idle client may have sent one more request already."""
        self._lasting = False
        if self._own is OWED:
            self._outline &= ~KEEP
