"""The asyncio driver: one transport, one protocol object, the exchanges between them.

There is no await between octets and request: `data_received` feeds the connection and begins what came of it.
What one turn of the loop produced leaves in one write. Deadlines are looked at by the worker's one timer, so
that a request costs no timer of its own. The drive holds no status number and no framing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hostler.drive import Patience
from hostler.plugin import Connection, Data, End, Event, Gone, Listener, Request, Switch, Transport, Waiting

from hostler_asgi._deadlines import HALF_CLOSED, LINGER_OCTETS, Watch, readable
from hostler_asgi._exchange import Exchange
from hostler_asgi._scope import Scopes
from hostler_asgi._tls import describe
from hostler_asgi._waiters import Waiters
from hostler_asgi._websocket import WebSocket

if TYPE_CHECKING:
    from hostler_asgi._worker import Worker

CORK = 65536
"""Octets at which a turn's output leaves before the turn is over."""
BACKLOG = 65536
"""Octets that flow control may hold back before the application waits."""
BURST = 1 << 20
"""Octets that one application may write before the loop has a turn, however fast its reader is."""
ROUNDS = 64
"""Pipelined requests begun in one turn; then other connections have their say."""


class Drive(asyncio.Protocol):
    """One accepted connection."""

    __slots__ = (
        "_burst",
        "_choked",
        "_corked",
        "_eof",
        "_paused",
        "_scheduled",
        "_unsent",
        "_watch",
        "abandoned",
        "born",
        "connection",
        "exchanges",
        "file",
        "lingering",
        "listener",
        "octets_in",
        "octets_out",
        "peer",
        "reading",
        "requests",
        "scopes",
        "secure",
        "transport",
        "unread",
        "worker",
        "writers",
    )

    def __init__(self, worker: Worker, listener: Listener, peer: Any) -> None:
        self.worker = worker
        self.listener = listener
        self.peer: tuple[str, int] | None = ("", 0) if listener.unix else (peer[0], peer[1])
        self.transport: Any = None
        self.connection: Connection
        self.scopes: Scopes
        self.secure = False
        self.exchanges: dict[int, Exchange | WebSocket] = {}
        self.requests = 0
        self.lingering = 0.0
        """When the lingering close began; 0 before."""
        self.unread = False
        """The peer may still be sending what nobody will read: close with a linger."""
        self._corked = False
        self._scheduled = False
        self._paused = False
        self.reading = True
        self._eof = False
        self.abandoned = False
        """The peer finished sending some time ago: most likely it has left, so `receive` says that it has."""
        self.file = False
        """An exchange writes a file to the socket itself: nothing is closed meanwhile."""
        self._unsent = 0
        self.writers = Waiters()
        self._choked, self._burst, self.born = False, 0, worker.now
        self._watch = Watch(worker.now)
        self.octets_in = self.octets_out = 0

    # -- asyncio's side --------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """The socket is ready, its TLS handshake done: ask for the protocol that ALPN or the listener chose."""
        worker, listener = self.worker, self.listener
        self.transport = transport
        tls = transport.get_extra_info("ssl_object")
        self.secure = tls is not None
        local = ("", 0) if listener.unix else (transport.get_extra_info("sockname") or listener.address)[:2]
        about = Transport(
            peer=self.peer,
            local=local,
            unix=listener.unix,
            secure=self.secure,
            protocol=(tls.selected_alpn_protocol() or "") if tls is not None else "",
        )
        self.connection = worker.ctx.connect(listener, about)
        self.scopes = Scopes(
            about,
            listener.address,
            worker.state,
            worker.root_path,
            describe(tls, worker.certificates.get(tls.context)) if tls is not None else None,
        )
        worker.admitted(self)
        if worker.stopping:
            self.retire()

    def data_received(self, data: bytes) -> None:
        """Octets came: make requests of them, begin those, and write what they answered at once."""
        self.octets_in += len(data)
        if self.lingering:
            if self.octets_in > LINGER_OCTETS:
                self.transport.abort()
            return
        self._corked = True
        self._take(self.connection.receive(data))
        self.settle()

    def eof_received(self) -> bool:
        """The peer has finished sending: gone, or reading on, which TCP does not tell. It may have its answer."""
        self._eof = True
        if self.lingering:
            return False
        self._corked = True
        self._take(self.connection.receive(b""))
        self.settle()
        if self.secure or self.connection.closing:
            return False
        self.worker.loop.call_later(HALF_CLOSED, self._abandon, self.octets_out)
        return True

    def _abandon(self, sent: int) -> None:
        """Tell who listens, unless something was sent meanwhile: a peer that had left would have refused it."""
        if self.octets_out == sent and not (self.file or self._paused or self.transport.is_closing()):
            self.abandoned = True
            for exchange in self.exchanges.values():
                exchange.abandoned()
            self.settle()

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone, whoever closed it."""
        del error
        self.worker.dismissed(self)
        exchanges = list(self.exchanges.values())
        self.exchanges.clear()
        for exchange in exchanges:
            exchange.lost()
        self._paused = False
        self.writers.wake()

    def pause_writing(self) -> None:
        """More waits for the peer than should."""
        self._paused = True

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._paused = False
        self.writers.wake()
        if self.connection.multiplexed:
            self._soon()

    # -- events ----------------------------------------------------------------------------------------

    def _take(self, events: Sequence[Event]) -> None:
        """Events into exchanges. An exchange begins after the events that came with its request."""
        began: Exchange | WebSocket | None = None
        for event in events:
            kind = type(event)
            if kind is Request:
                if began is not None:
                    began.begin()
                began = self._open(event)  # type: ignore[arg-type]
            elif kind is Data:
                exchange = self.exchanges.get(event.stream)  # type: ignore[union-attr, arg-type]
                if exchange is not None:
                    exchange.data(event.block)  # type: ignore[union-attr]
                else:
                    self.connection.taken(event.stream, len(event.block))  # type: ignore[union-attr, arg-type]
            elif kind is End:
                exchange = self.exchanges.get(event.stream)  # type: ignore[union-attr, arg-type]
                if exchange is not None:
                    exchange.end()
            elif kind is Gone:
                self._lose(event)  # type: ignore[arg-type]
            elif kind is Switch:
                self.connection = event.connection  # type: ignore[union-attr]
                self._take(event.events)  # type: ignore[union-attr]
        if began is not None:
            began.begin()

    def _open(self, request: Request) -> Exchange | WebSocket:
        self.requests += 1
        stream, head = request.stream, request.head
        exchange: Exchange | WebSocket
        if head.upgrade == b"websocket":
            exchange = WebSocket(self, stream, head)
        else:
            exchange = Exchange(self, stream, head, request.ended)
        self.exchanges[stream] = exchange
        return exchange

    def _lose(self, event: Gone) -> None:
        if event.kind:
            self.unread = True
            self.worker.ctx.log.refused(event.kind, self.peer, event.reason)
        for stream in list(self.exchanges) if event.stream is None else [event.stream]:
            exchange = self.exchanges.pop(stream, None)
            if exchange is not None:
                exchange.lost()

    # -- what exchanges ask ----------------------------------------------------------------------------

    def put(self, octets: int) -> None:
        """The connection has something to say: now if it is much, else with the rest of this turn."""
        self._unsent += octets
        if self._unsent >= CORK:
            self._burst += self._unsent
            self.flush()
        elif not self._corked:
            self._soon()

    def took(self, connection: Connection, stream: int, octets: int) -> None:
        """The application consumed so much of a body: credit for the peer, and perhaps room to read on."""
        connection.taken(stream, octets)
        if self._corked or self._scheduled:
            return
        if connection.multiplexed or connection.held or connection.reading is not self.reading:
            self._soon()

    def finished(self, exchange: Exchange | WebSocket) -> None:
        """An exchange is over: its answer is queued, or nobody is there to read it."""
        if self.exchanges.pop(exchange.stream, None) is not None and not exchange.whole:
            self.unread = True
        self.worker.served(exchange)
        if self._corked or self._scheduled:
            return
        connection = self.connection
        if connection.multiplexed or connection.held:
            self._soon()
        else:
            self.settle()

    def released(self, exchange: Exchange | WebSocket) -> None:
        """The application of a request that is gone has returned: its stream's place is free now, not before."""
        self.worker.left(exchange)
        if not self.transport.is_closing() and self.connection.multiplexed:
            self.connection.abort(exchange.stream)
            self.put(0)

    def choke(self, exchange: WebSocket, *, choked: bool) -> None:
        """Stop reading for an application that does not keep up; streams of HTTP/2 have credit for that."""
        if not self.connection.multiplexed:
            self._choked = choked
            self.put(0)

    def full(self, exchange: Exchange | WebSocket) -> bool:
        """Whether the application should wait before it sends more."""
        return (
            self._paused
            or self._burst > BURST
            or self.transport.is_closing()
            or self.connection.backlog(exchange.stream) > BACKLOG
        )

    async def writable(self) -> None:
        """Return when the peer may have taken something; the caller looks again."""
        if self._burst > BURST and not self.transport.is_closing():
            self._burst = 0
            await asyncio.sleep(0)
            return
        await self.writers.wait(self.worker.loop)

    # -- after a round of actions ----------------------------------------------------------------------

    def _soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.worker.loop.call_soon(self._turn)

    def _turn(self) -> None:
        """The end of a turn of the loop in which applications acted."""
        self._scheduled = False
        self._corked = True
        self.settle()

    def settle(self) -> None:
        """Go on with octets that were kept back, write, wake writers, and decide whether to read on."""
        connection = self.connection
        rounds = ROUNDS
        while connection.held and rounds:
            self._corked = True
            rounds -= 1
            self._take(connection.resume())
            connection = self.connection
        self._corked = False
        self.flush()
        if connection.held:
            self._soon()
        if self.writers and not self._paused:
            self.writers.wake()
        if connection.closing:
            self._close()
            return
        reading = connection.reading and not self._choked
        if reading is not self.reading and not self._eof and not self.transport.is_closing():
            self.reading = reading
            (self.transport.resume_reading if reading else self.transport.pause_reading)()

    def flush(self) -> None:
        """Give the transport what the connection has to say."""
        self._unsent = 0
        connection, transport = self.connection, self.transport
        if self._paused and connection.multiplexed and not connection.closing:
            return  # what is written next is chosen when the transport can take it
        end = self.octets_out + BURST
        while (out := connection.outgoing()) and not transport.is_closing():
            data = out[0] if len(out) == 1 else b"".join(out)
            self.octets_out += len(data)
            transport.write(data)
            if self._paused or not connection.multiplexed:
                return
            if self.octets_out > end:
                self._soon()
                return

    def _close(self) -> None:
        """All is said: close, and let a peer that may still be sending read its answer first."""
        transport = self.transport
        if self.lingering or self.file or transport.is_closing():
            return
        if self.unread and not self._eof and not self.secure and not self.connection.abrupt:
            self.lingering = self.worker.now
            self.octets_in = 0
            transport.write_eof()
            if not self.reading:
                self.reading = True
                transport.resume_reading()
        else:
            transport.close()

    # -- the worker's timer ----------------------------------------------------------------------------

    def look(self, now: float, patience: Patience) -> None:
        """Deadlines of the connection, of its streams and of its WebSockets."""
        self._watch.look(self, now, patience)
        connection = self.connection
        for stream, exchange in list(self.exchanges.items()):
            if type(exchange) is WebSocket:
                exchange.tick(now)
            if connection.multiplexed and stream in self.exchanges:
                self._watch.look_at_stream(self, stream, now, patience)

    def give_up(self, stream: int) -> None:
        """One stream's reader is too slow: the others go on."""
        self.connection.abort(stream)
        self.exchanges.pop(stream).lost()
        self.writers.wake()
        self.settle()

    def expire(self) -> None:
        """The peer's time is over."""
        self.unread = self._corked = True
        self._take(self.connection.expire())
        self.settle()

    def retire(self) -> None:
        """Its life was long enough: the next answer is the last."""
        self.connection.drain()
        self.settle()

    def drain(self, *, at_once: bool = False) -> None:
        """A graceful stop: finish what is in service, then close.

        An idle connection may send the request that is on its way (`Watch` ends it), but for `at_once`.
        """
        if self.lingering or self.transport.is_closing():
            return
        for exchange in list(self.exchanges.values()):
            exchange.stop()
        self.retire()
        if at_once and self.connection.waiting is Waiting.IDLE and not readable(self.transport):
            self.expire()
