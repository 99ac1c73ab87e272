"""One WebSocket: `receive` and `send` of ASGI, exact to the specification (WebSocket 2.5).

Messages come from and go to `Frames`; octets come from and go to the tunnel that the connection's protocol
carries, whichever it is. Nothing is answered before the application says `websocket.accept`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from hostler.plugin import Connection, Head
from websockets.exceptions import ProtocolError

from hostler_asgi._errors import ClientDisconnected, MessageError, caused_by_disconnect
from hostler_asgi._frames import Closed, Frames
from hostler_asgi._handshake import FORBIDDEN, INTERNAL_ERROR, PLAIN, Denial, Opening, Refusal
from hostler_asgi._pings import Pings
from hostler_asgi._waiters import Waiters

if TYPE_CHECKING:
    from hostler_asgi._drive import Drive

CONNECTING, OPEN, DENYING, CLOSING, CLOSED = range(5)
"""Not accepted; accepted; an HTTP response is being sent instead; closed for the application; over."""


class WebSocket:
    """Also the line that the access log reads (`AccessLine`)."""

    __slots__ = (
        "_deadline",
        "_denial",
        "_disconnect",
        "_early",
        "_frames",
        "_held",
        "_opening",
        "_owed",
        "_pings",
        "_queue",
        "_state",
        "_told_connect",
        "_waiters",
        "connection",
        "drive",
        "environ",
        "gone",
        "head",
        "headers",
        "seconds",
        "sent",
        "started",
        "status",
        "stream",
        "task",
    )

    whole = carries_body = True
    oblivious = False
    reason = ""

    def __init__(self, drive: Drive, stream: int, head: Head) -> None:
        self.drive = drive
        self.connection: Connection = drive.connection
        self.stream = stream
        self.head = head
        self.gone = False
        self.task: asyncio.Task[None] | None = None
        self.environ: dict[str, Any] | None = None
        self.status = 403
        self.headers: Any = ()
        self.sent = 0
        self.started = 0.0
        self.seconds = 0.0
        self._opening = Opening(head)
        self._frames: Frames | None = None
        self._state = CONNECTING
        self._told_connect = False
        self._early: list[bytes] = []
        self._queue: deque[str | bytes] = deque()
        self._owed = 0
        self._held = False
        self._denial: Denial | None = None
        self._disconnect: Closed | None = None
        self._waiters = Waiters()
        self._pings: Pings | None = None
        self._deadline = float("inf")

    # -- the drive's side ------------------------------------------------------------------------------

    @property
    def peer(self) -> tuple[str, int] | None:
        """The client: a trusted proxy's word, or the socket's peer."""
        return self.head.client or self.drive.peer

    def departed(self) -> bool:
        """Whether the WebSocket is closed for the application, or its client gone."""
        return self.gone or self._disconnect is not None

    def begin(self) -> None:
        """Refuse what opens no WebSocket, else call the application."""
        self.started = time.monotonic()
        refusal = self._opening.refuse(self.head)
        if refusal is not None:
            self._refuse(refusal)
        else:
            self.drive.worker.start(self)

    def data(self, block: bytes) -> None:
        """Octets of the tunnel came (or, from an eager client, before there is one)."""
        if self._frames is None:
            self._early.append(block)
            return
        self._owed += len(block)
        self._took(self._frames.receive(block))

    def end(self) -> None:
        """The peer has finished sending: without a close, that is an abnormal one."""
        if self._frames is not None and self._state in (OPEN, CLOSING):
            self._closed(Closed(1006, ""))
            self._over()

    def lost(self) -> None:
        """The connection, or this stream of it, is gone."""
        if self._state == CLOSED and self._disconnect is not None:
            return
        self.gone = True
        self._state = CLOSED
        self._closed(Closed(1006, ""))
        self.drive.worker.leave_soon(self)
        self.drive.worker.served(self)

    def abandoned(self) -> None:
        """The client finished sending a moment ago: there will be no WebSocket."""
        self._waiters.wake()

    def stop(self) -> None:
        """A graceful stop began: the client is told that the service restarts."""
        if self._state == OPEN:
            self._close(1012, "")

    def tick(self, now: float) -> None:
        """The worker's timer: pings, and the peer's time for pongs and for its close."""
        frames, pings = self._frames, self._pings
        if frames is None or pings is None:
            return
        if self._state == CLOSING and now > self._deadline:
            self._over()
        elif self._state == OPEN:
            if self._held:
                pings.excuse(now)
            elif pings.overdue(now, frames.pong):
                self.drive.worker.ctx.log.refused("ws_ping", self.drive.peer, "a ping was not answered")
                frames.fail(1011, "ping timeout")
                self._closed(Closed(1011, "ping timeout"))
                self._over()
                return
            if payload := pings.next(now):
                frames.ping(payload)
                self._write(frames.outgoing())

    # -- the application's side ------------------------------------------------------------------------

    async def run(self) -> None:
        """The task of this WebSocket: the wall around the application."""
        drive = self.drive
        worker = drive.worker
        scope = drive.scopes.websocket(self.head, self._opening.subprotocols)
        try:
            if worker.begin is not None:
                worker.begin(self, scope)
            await worker.app(scope, self.receive, self.send)
        except (asyncio.CancelledError, GeneratorExit):
            self._break_off(1012)
            raise
        except BaseException as error:  # noqa: BLE001 - the wall around the application
            self._failed(error)
        else:
            self._returned()
        finally:
            worker.running.discard(self)
            if self.gone:
                drive.released(self)

    async def receive(self) -> dict[str, Any]:
        """`websocket.connect`, then messages, then `websocket.disconnect` again and again."""
        if not self._told_connect:
            self._told_connect = True
            return {"type": "websocket.connect"}
        while True:
            if self._queue:
                message = self._queue.popleft()
                if self._held and len(self._queue) * 2 <= self.drive.worker.settings.websocket_max_queue:
                    self._release()
                if type(message) is str:
                    return {"type": "websocket.receive", "bytes": None, "text": message}
                return {"type": "websocket.receive", "bytes": message, "text": None}
            if self._disconnect is not None:
                closed = self._disconnect
                return {"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason}
            if self._state == CONNECTING and self.drive.abandoned:
                return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
            await self._waiters.wait(self.drive.worker.loop)

    async def send(self, message: Any) -> None:
        """Take one message; returns when the connection can take more."""
        kind = message["type"]
        if kind == "websocket.send":
            await self._send(message.get("bytes"), message.get("text"))
        elif kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            code, reason = message.get("code", 1000), message.get("reason") or ""
            if not isinstance(code, int) or not isinstance(reason, str):
                raise MessageError("websocket.close: code must be an int and reason a str")
            if self._state == CONNECTING:
                self._refuse(FORBIDDEN)
                self._closed(Closed(1006, ""))
            elif self._state == OPEN:
                self._close(code, reason)
            elif self._state == DENYING:
                raise MessageError("websocket.close cannot follow websocket.http.response.start")
            elif self.departed():
                return  # both sides closed at the same time
        elif kind in ("websocket.http.response.start", "websocket.http.response.body"):
            self._deny(kind, message)
        else:
            raise MessageError(f"{kind!r} is no message that can be sent on a WebSocket")

    async def _send(self, data: Any, text: Any) -> None:
        if self._state != OPEN:
            if self.departed():
                raise ClientDisconnected("the WebSocket is closed")
            raise MessageError("websocket.send before websocket.accept")
        frames, drive = self._frames, self.drive
        assert frames is not None
        out = frames.message(text, data)
        self.sent += len(out)
        self.connection.data(self.stream, out)
        drive.put(len(out))
        while drive.full(self) and not self.gone:
            await drive.writable()

    def _accept(self, message: Any) -> None:
        if self._state != CONNECTING:
            if self.gone:
                raise ClientDisconnected("the client has left")
            raise MessageError("websocket.accept was sent already, or the connection refused")
        settings = self.drive.worker.settings
        headers = [(bytes(name), bytes(value)) for name, value in message.get("headers") or ()]
        fields, extensions = self._opening.accept(
            message.get("subprotocol"), headers, deflate=settings.websocket_per_message_deflate
        )
        self.connection.tunnel(self.stream, fields)
        self._frames = Frames(
            settings.websocket_max_message_size, settings.websocket_max_fragments, extensions
        )
        self._state = OPEN
        self.status, self.headers = 101 if self.head.http_version != "2" else 200, fields
        self._pings = Pings(
            settings.websocket_ping_interval, settings.websocket_ping_timeout, self.drive.worker.now
        )
        early, self._early = self._early, []
        for block in early:
            self.data(block)
        self.drive.put(0)

    def _deny(self, kind: str, message: Any) -> None:
        """An HTTP response instead of the handshake (extension `websocket.http.response`)."""
        if self.gone:
            raise ClientDisconnected("the client has left")
        if kind.endswith("start"):
            if self._state != CONNECTING:
                raise MessageError(f"{kind} cannot be sent now")
            self._denial = Denial(self.connection, self.stream, message)
            self.status, self.headers = self._denial.status, self._denial.headers
            self._state = DENYING
            return
        if self._state != DENYING or self._denial is None:
            raise MessageError(f"{kind} cannot be sent now")
        size, more = self._denial.body(message)
        self.sent += size
        if more:
            self.drive.put(size)
        else:
            self._finish()
            self._closed(Closed(1006, ""))

    # -- the connection's way --------------------------------------------------------------------------

    def _took(self, found: list[str | bytes | Closed]) -> None:
        """What the frames held: messages for the application, a close, and answers for the peer."""
        frames = self._frames
        assert frames is not None
        for item in found:
            if type(item) is Closed:
                self._closed(item)
            else:
                self._queue.append(item)  # type: ignore[arg-type]
        self._write(frames.outgoing())
        if frames.finished:
            self._over()
            return
        if len(self._queue) >= self.drive.worker.settings.websocket_max_queue:
            self._held = True
            self.drive.choke(self, choked=True)
        elif self._owed:
            owed, self._owed = self._owed, 0
            self.connection.taken(self.stream, owed)
        if self._queue:
            self._waiters.wake()

    def _release(self) -> None:
        """The application caught up: read on."""
        self._held = False
        owed, self._owed = self._owed, 0
        self.drive.choke(self, choked=False)
        self.drive.took(self.connection, self.stream, owed)

    def _close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; the application is told at once, the peer has its time to answer."""
        frames, worker = self._frames, self.drive.worker
        assert frames is not None
        if not frames.open:
            return
        try:
            frames.close(code, reason)
        except ProtocolError as error:
            raise MessageError(f"websocket.close: {error}") from None
        self._write(frames.outgoing())
        self._closed(Closed(code, reason))
        self._deadline = worker.now + worker.settings.websocket_close_timeout

    def _closed(self, closed: Closed) -> None:
        """Closed for the application, which is told so once it has read what came before."""
        if self._disconnect is None:
            self._disconnect = closed
        if self._state == OPEN:
            self._state = CLOSING
        self._waiters.wake()

    def _over(self) -> None:
        """Both sides have said all, or the peer's time is over: end the tunnel."""
        if self._state == CLOSED:
            return
        frames = self._frames
        if frames is not None:
            self._write(frames.outgoing())
        self._finish()

    def _finish(self) -> None:
        if self._state != CLOSED:
            self._state = CLOSED
            self.connection.end(self.stream)
            self.drive.finished(self)

    def _write(self, out: bytes) -> None:
        if out and not self.gone:
            self.connection.data(self.stream, out)
            self.drive.put(len(out))

    def _refuse(self, refusal: Refusal) -> None:
        self.status, self.headers = refusal.status, (*PLAIN, *refusal.headers)
        self.connection.start(self.stream, refusal.status, self.headers, length=len(refusal.text))
        self.connection.data(self.stream, refusal.text)
        self._finish()

    # -- how an application's call can end ---------------------------------------------------------------

    def _returned(self) -> None:
        if self._state == CONNECTING:
            self._refuse(FORBIDDEN)
        elif self._state == OPEN:
            self._close(1000, "")
        elif self._state == DENYING:
            self._abort()

    def _failed(self, error: BaseException) -> None:
        worker = self.drive.worker
        if caused_by_disconnect(error, departed=self.departed()):
            worker.log.debug("the client left a WebSocket: %r", error)
        else:
            worker.log.error("error in the WebSocket %s", worker.printable(self.head.target), exc_info=error)
        self._break_off(1011)

    def _break_off(self, code: int) -> None:
        if self._state == CONNECTING:
            self._refuse(INTERNAL_ERROR)
        elif self._state == OPEN:
            self._close(code, "")
        elif self._state == DENYING:
            self._abort()

    def _abort(self) -> None:
        self._state = CLOSED
        self.connection.abort(self.stream)
        self.drive.finished(self)
