"""One HTTP request and its answer: `receive` and `send` of ASGI, exact to the specification (HTTP 2.5).

The answer's head is held back until the first event of its body, so that an application that fails before it
still gets a clean 500. An exchange talks to the protocol object of its connection and asks its drive to
write; it knows no socket, no framing and no other request.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from hostler.plugin import Connection, Head, Headers, ResponseError

from hostler_asgi._errors import ClientDisconnected, MessageError, caused_by_disconnect, octets
from hostler_asgi._extensions import send_extension
from hostler_asgi._phases import BODY, DONE, HELD, NEW, PHASES, TRAILERS
from hostler_asgi._waiters import Waiters

if TYPE_CHECKING:
    from hostler_asgi._drive import Drive

_FRAMING = frozenset({b"transfer-encoding", b"keep-alive", b"proxy-connection", b"te", b"upgrade"})
_PLAIN = ((b"content-type", b"text/plain; charset=utf-8"),)
_INTERNAL_ERROR = b"Internal Server Error\n"


class Exchange:
    """Also the line that the access log reads (`AccessLine`)."""

    __slots__ = (
        "_blocks",
        "_proceeded",
        "_told",
        "_waiters",
        "_wants_trailers",
        "by_bytes",
        "by_path",
        "connection",
        "drive",
        "environ",
        "gone",
        "head",
        "headers",
        "heard",
        "phase",
        "seconds",
        "sent",
        "started",
        "status",
        "stream",
        "task",
        "trailers",
        "whole",
    )

    def __init__(self, drive: Drive, stream: int, head: Head, ended: bool) -> None:
        self.drive = drive
        self.connection: Connection = drive.connection
        self.stream = stream
        self.head = head
        self.gone = False
        self.heard = False
        """The application knows that its client is gone."""
        self.task: asyncio.Task[None] | None = None
        self.environ: dict[str, Any] | None = None
        self.status = 500
        self.headers: Any = ()
        self.sent = 0
        self.started = 0.0
        self.seconds = 0.0
        self.phase = NEW
        self._blocks: list[bytes] = []
        self.whole = ended
        """The request's body has come completely."""
        self._told = False
        self._proceeded = not head.expects_continue
        self._waiters: Waiters | None = None
        self._wants_trailers = False
        self.trailers: list[tuple[bytes, bytes]] = []
        self.by_bytes = self.by_path = False

    # -- the drive's side ------------------------------------------------------------------------------

    @property
    def reason(self) -> str:
        """The reason phrase; ASGI has none, so the log gets the standard one of its status."""
        return ""

    @property
    def peer(self) -> tuple[str, int] | None:
        """The client: a trusted proxy's word, or the socket's peer."""
        return self.head.client or self.drive.peer

    def departed(self) -> bool:
        """Whether the client is gone, or has most likely left."""
        return self.gone or (self.drive.abandoned and self.whole)

    def data(self, block: bytes) -> None:
        """Octets of the body came."""
        self._blocks.append(block)
        if self._waiters is not None:
            self._waiters.wake()

    def end(self) -> None:
        """The body is complete."""
        self.whole = True
        if self._waiters is not None:
            self._waiters.wake()

    def lost(self) -> None:
        """The client is gone, or its request will never be complete."""
        if self.gone or self.phase == DONE:
            return
        self.gone = True
        if self._waiters is not None:
            self._waiters.wake()
        self.drive.worker.leave_soon(self)

    def abandoned(self) -> None:
        """The client finished sending and has most likely left: who waits in `receive` is told.

        A stream that is silent since then can be told by nothing but its end.
        """
        if self.phase == BODY:
            self.connection.abort(self.stream)
        elif self._waiters is not None:
            self._waiters.wake()

    def begin(self) -> None:
        """Call the application: at once where a task can begin eagerly, in the next turn otherwise."""
        worker = self.drive.worker
        if worker.timed:
            self.started = time.monotonic()
        worker.start(self)

    async def run(self) -> None:
        """The task of this exchange: the wall around the application."""
        drive = self.drive
        worker = drive.worker
        scope = drive.scopes.http(self.head)
        try:
            if worker.begin is not None:
                worker.begin(self, scope)
            await worker.app(scope, self.receive, self.send)
        except (asyncio.CancelledError, GeneratorExit):
            self._break_off()
            raise
        except BaseException as error:  # noqa: BLE001 - the wall around the application
            self._failed(error)
        else:
            if self.phase != DONE:
                self._returned()
        finally:
            worker.running.discard(self)
            if self.gone:
                drive.released(self)

    # -- the application's side ------------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        """The next `http.request`, or `http.disconnect` again and again once nothing more can come."""
        while True:
            if self.phase != DONE and not self._told:
                if self._blocks:
                    blocks = self._blocks
                    body = blocks[0] if len(blocks) == 1 else b"".join(blocks)
                    self._blocks = []
                    self._told = self.whole
                    self.drive.took(self.connection, self.stream, len(body))
                    return {"type": "http.request", "body": body, "more_body": not self._told}
                if self.whole:
                    self._told = True
                    return {"type": "http.request", "body": b"", "more_body": False}
            if self.gone or self.phase == DONE or (self.drive.abandoned and self.whole):
                self.heard = True
                return {"type": "http.disconnect"}
            if not self._proceeded and not self.whole:
                self._proceeded = True
                self.connection.proceed(self.stream)
                self.drive.put(0)
            if self._waiters is None:
                self._waiters = Waiters()
            await self._waiters.wait(self.drive.worker.loop)

    async def send(self, message: Any) -> None:
        """Take one message; returns when the connection can take more."""
        kind = message["type"]
        if kind == "http.response.start":
            self._hold(message)
            return
        if kind != "http.response.body":
            await send_extension(self, kind, message)
            return
        phase = self.phase
        if (phase != HELD and phase != BODY) or self.by_path:
            raise self.misplaced(kind)
        if self.gone:
            raise self.disconnected()
        body = message.get("body", b"")
        if type(body) is not bytes:
            body = octets(body)
        more = message.get("more_body", False)
        if phase == HELD:
            if not (more or self._wants_trailers or self.connection.multiplexed):
                self._respond(body)
                return
            self.open(None if more else len(body))
        self.by_bytes = True
        if body:
            self.sent += len(body)
            self.connection.data(self.stream, body)
        if not more:
            if self._wants_trailers:
                self.close_body()
            else:
                self.complete()
            return
        drive = self.drive
        drive.put(len(body))
        if drive.full(self):
            await self.drained()

    def _hold(self, message: Any) -> None:
        if self.phase != NEW:
            raise self.misplaced("http.response.start")
        status = message["status"]
        if not isinstance(status, int) or isinstance(status, bool):
            raise MessageError(f"the status must be an int, not {type(status).__name__}")
        if not 200 <= status <= 999:
            raise MessageError(f"{status} is not the status of a final response")
        if self.gone:
            raise self.disconnected()
        self.status = status
        headers = message.get("headers", ())
        self.headers = headers if type(headers) is list or type(headers) is tuple else list(headers)
        self._wants_trailers = bool(message.get("trailers", False))
        self.phase = HELD

    # -- the response's way ----------------------------------------------------------------------------

    def open(self, length: int | None) -> None:
        """Send the head that was held. `length`: of the body, when it is known and no field says so."""
        connection, stream = self.connection, self.stream
        if self._wants_trailers:
            length = None  # only a body of chunks has room for them
        try:
            connection.start(stream, self.status, self.headers, length=length)
        except (ResponseError, TypeError):
            connection.start(stream, self.status, self._normalized(), length=length)
        self.phase = BODY

    def _respond(self, body: bytes) -> None:
        """The whole answer in one go, which is what most are."""
        connection, stream = self.connection, self.stream
        self.sent = len(body)
        try:
            connection.respond(stream, self.status, self.headers, body, b"")
        except (ResponseError, TypeError):
            connection.respond(stream, self.status, self._normalized(), body, b"")
        self._completed(connection.overrun(stream))

    def _normalized(self) -> list[tuple[bytes, bytes]]:
        """The fields as pairs of bytes, without those about framing, which is the server's matter."""
        kept = []
        for name, value in self.headers:
            if not isinstance(name, (bytes, bytearray)) or not isinstance(value, (bytes, bytearray)):
                raise MessageError(f"names and values of headers must be bytes: {name!r}, {value!r}")
            if name.lower() not in _FRAMING:
                kept.append((bytes(name), bytes(value)))
        return kept

    def close_body(self) -> None:
        if self._wants_trailers:
            self.phase = TRAILERS
            self.drive.put(0)
        else:
            self.complete()

    @property
    def oblivious(self) -> bool:
        """It streams, and neither sends nor listens: it cannot know that its client is gone."""
        return self.phase == BODY and not self.heard

    @property
    def carries_body(self) -> bool:
        """Whether octets of a body may follow the head."""
        return self.head.method != "HEAD" and self.status not in (204, 304)

    def disconnected(self) -> ClientDisconnected:
        """What `send` raises once the client has left."""
        self.heard = True
        return ClientDisconnected("the client has left")

    def stop(self) -> None:
        """A graceful stop began: a request in service is finished."""

    def complete(self, trailers: Headers = ()) -> None:
        cut = self.connection.overrun(self.stream)  # of a stream that is over nothing is known
        self.connection.end(self.stream, trailers)
        self._completed(cut)

    def _completed(self, cut: int) -> None:
        self.phase = DONE
        if cut:
            self.drive.worker.log.warning(
                "%s %s: the body was longer than its Content-Length; %d octets were cut",
                self.head.method,
                self.drive.worker.printable(self.head.target),
                cut,
            )
        if self._waiters is not None:
            self._waiters.wake()
        self.drive.finished(self)

    # -- how an application's call can end ---------------------------------------------------------------

    def _returned(self) -> None:
        """It returned before its response was complete."""
        if not self.gone and not self.drive.abandoned:
            self.drive.worker.log.error(
                "%s %s: the application returned before its response was complete",
                self.head.method,
                self.drive.worker.printable(self.head.target),
            )
        self._break_off()

    def _failed(self, error: BaseException) -> None:
        worker = self.drive.worker
        if caused_by_disconnect(error, departed=self.departed()):
            worker.log.debug("the client left during %s: %r", self.head.method, error)
        else:
            worker.log.error(
                "error while %s %s was handled",
                self.head.method,
                worker.printable(self.head.target),
                exc_info=error,
            )
        if self.phase != DONE:
            self._break_off()

    def _break_off(self) -> None:
        """The response will not be completed: a 500 if nothing was sent, else a visible break."""
        if self.phase == DONE:
            return
        if not self.gone and self.phase in (NEW, HELD):
            self.status, self.headers = 500, _PLAIN
            self.connection.start(self.stream, 500, _PLAIN, length=len(_INTERNAL_ERROR))
            self.connection.data(self.stream, _INTERNAL_ERROR)
            self.sent = len(_INTERNAL_ERROR)
            self.connection.end(self.stream)
        elif not self.gone:
            self.connection.abort(self.stream)
        self.phase = DONE
        if self._waiters is not None:
            self._waiters.wake()
        self.drive.finished(self)

    def misplaced(self, what: str) -> MessageError:
        """The error for a message that this response is not ready for, or past."""
        return MessageError(f"{what} cannot be sent now: of this response, {PHASES[self.phase]}")

    # -- waiting ---------------------------------------------------------------------------------------

    async def drained(self) -> None:
        """Wait until the peer has taken enough; raise when it is gone."""
        drive = self.drive
        while drive.full(self) and not self.gone:
            await drive.writable()
        if self.gone:
            raise self.disconnected()
