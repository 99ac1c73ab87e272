"""One accepted connection under a driver: its socket, its protocol object, what waits to be written.

Moves bytes between the two and requests to the driver; knows no field, no status, no application. What a slow
reader has not taken waits here, with the loop. `lock` is held for the few microseconds of each call into the
connection when several threads work for one driver; the application never runs under it. What each request
passes acquires and releases it by hand, which costs a third of what `with` does.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from hostler._intake import take
from hostler._outbox import EMPTY, Outbox, offer
from hostler._poll import BROKEN, READ, WRITE, is_ended
from hostler._vigil import Vigil
from hostler._wsgi import HIGH_WATER, Exchange
from hostler.http import Connection, Transport, Waiting

if TYPE_CHECKING:
    from hostler._contexts import Listener
    from hostler._drive import Driver

CHUNK = 65536
LOW_WATER = HIGH_WATER // 4
LINGER_OCTETS = 65536
"""What is read and thrown away of a peer that goes on sending after its answer."""


class Channel:
    """Socket and connection, glued."""

    __slots__ = (
        "_draining",
        "_interest",
        "_parked",
        "_registered",
        "_vigil",
        "born",
        "connection",
        "descriptor",
        "driver",
        "eof",
        "exchanges",
        "extra",
        "gone",
        "lingering",
        "listener",
        "lock",
        "octets_in",
        "outbox",
        "remote",
        "requests",
        "socket",
        "touched",
        "transport",
        "unread",
        "waiters",
    )

    def __init__(
        self, driver: Driver, sock: Any, listener: Listener, transport: Transport, connection: Connection
    ) -> None:
        self.driver = driver
        self.socket = sock
        self.descriptor = sock.fileno()
        self.listener = listener
        self.transport = transport
        self.connection = connection
        self.lock = driver.make_lock()
        self.exchanges: dict[int, Exchange] = {}
        self.remote: tuple[str, str] | None = None
        self.extra: dict[str, Any] | None = None
        """What TLS or PROXY add to every `environ` of this connection."""
        self.outbox = EMPTY
        self.gone = False
        self.eof = False
        self.lingering = False
        self.unread = False
        """The peer may still be sending what nobody will read: close with a linger."""
        self.requests = 0
        self.touched = self.born = driver.now
        self.waiters: list[threading.Event] = []
        self._parked: list[Exchange] | tuple[()] = ()
        self._draining = False
        self._registered = False
        self._interest = READ
        self.octets_in = 0
        self._vigil: Vigil | None = None
        """From the first look at its deadlines on."""

    def name_peer(self) -> tuple[str, str]:
        """The peer as CGI names it, address and port as text; kept in `remote`."""
        address, port = self.transport.peer or ("", 0)
        self.remote = address, str(port or "")
        return self.remote

    # -- readiness -------------------------------------------------------------------------------------

    def ready(self, mask: int) -> None:
        """The socket can be read, written, or is broken: take what has come, and let the connection make events.

        Called when it was just accepted, too: most clients have sent their request already, which saves a
        registration and a wait.
        """
        if mask != READ:
            if mask & WRITE:
                self._write_pending()
            if not mask & (READ | BROKEN) or self.gone:
                return
        try:
            data = self.socket.recv(CHUNK)
        except BlockingIOError:
            if not self._registered:
                self._watch(READ)
            return
        except OSError:
            self.fail()
            return
        self.touched = self.driver.now
        if self.lingering or self.eof:
            self._linger(data)
            return
        if not data:
            self.eof = True
        self.octets_in += len(data)
        lock = self.lock
        lock.acquire()
        try:
            ready = take(self, self.connection.receive(data))
        finally:
            lock.release()
        self.settle(ready)
        if self.transport.secure and not (self.gone or self.eof) and self.socket.pending():
            self.driver.again(self)  # more is decrypted already than was read

    def listen(self) -> None:
        """Just accepted, and nothing is expected yet."""
        self._watch(READ)

    def settle(self, ready: list[Exchange]) -> None:
        """Run what is ready, go on with what was kept back, write, and decide what to listen for."""
        dispatch = self.driver.dispatch
        while True:
            for exchange in ready:
                dispatch(exchange)
            if self.gone or not self.connection.held:
                break
            with self.lock:
                ready = take(self, self.connection.resume())
            if not ready:
                break
        lock = self.lock
        lock.acquire()
        try:
            self.flush()
            ready = self._unpark() if self._parked else []
            self._look()
        finally:
            lock.release()
        if ready:
            self.settle(ready)

    def proceed(self, stream: int) -> None:
        """The application wants the body that its client holds back."""
        with self.lock:
            self.connection.proceed(stream)
        self.settle([])

    def answered(self, exchange: Exchange) -> None:
        """The exchange is over (the answer is queued, or nobody is there to read it)."""
        self.exchanges.pop(exchange.stream, None)
        if self.driver.shared:
            self.driver.answered(exchange)
        self.touched = time.monotonic()  # from here on the peer has the word, however long the answer took
        if exchange.lost and self.connection.multiplexed:
            with self.lock:
                self.connection.abort(exchange.stream)

    def ended(self) -> bool:
        """Whether the peer has left, as far as the socket tells; may be asked in any thread."""
        return self.gone or self.eof or is_ended(self.descriptor)

    # -- writing ---------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what the connection has to say, as far as the socket takes it. Called under the lock."""
        connection, outbox = self.connection, self.outbox
        if outbox.size and connection.multiplexed and not connection.closing:
            return  # what is written next is chosen when the socket can take it
        while (out := connection.outgoing()) and not self.gone:
            if outbox.size:
                outbox.queue(out)
                return
            tls = self.transport.secure
            last = connection.closing and not (self.exchanges or self.unread or tls or connection.multiplexed)
            try:
                rest = offer(self.socket, out, tls, last)
            except OSError:
                self._break()
                return
            if rest:
                outbox = self._own_outbox()
                outbox.queue(rest)
                self._watch(self._interest | WRITE)
                return
            if not connection.multiplexed:
                return

    def _own_outbox(self) -> Outbox:
        """The queue of this channel, from when something has to wait."""
        if self.outbox is EMPTY:
            self.outbox = Outbox(self.socket)
        return self.outbox

    def beside(self, stream: int, descriptor: int, offset: int, count: int) -> bool:
        """Queue a part of a file behind what was written. Called under the lock; False: write it as data."""
        if self.transport.secure or not hasattr(os, "sendfile") or not self.connection.beside(stream, count):
            return False
        self.flush()
        self._own_outbox().send_file(descriptor, offset, count)
        self._write()
        return True

    def _write(self) -> None:
        try:
            self.outbox.write()
        except OSError:
            self._break()
            return
        if self.outbox.size:
            self._watch(self._interest | WRITE)

    def _break(self) -> None:
        """The peer is gone; the loop clears up, since this may be another thread, or deep in a call of its own."""
        self.gone = True
        self.driver.later(self.fail)
        self.wake()

    def _write_pending(self) -> None:
        with self.lock:
            self._write()
        if not self.gone:
            self.wake()
            self.settle([])

    def held_back(self, stream: int) -> int:
        """Octets of this stream's answer that its reader has not taken."""
        size = self.outbox.size
        return size + self.connection.backlog(stream) if self.connection.multiplexed else size

    def park(self, exchange: Exchange) -> bool:
        """Keep the exchange until the reader has taken most of what waits; False when it has already."""
        with self.lock:
            if self.gone or self.held_back(exchange.stream) <= LOW_WATER:
                return False
            self._parked = [*self._parked, exchange]
            return True

    def _unpark(self) -> list[Exchange]:
        """Those whose readers have caught up. Called under the lock."""
        free = [
            exchange
            for exchange in self._parked
            if self.held_back(exchange.stream) <= LOW_WATER or exchange.lost
        ]
        self._parked = [exchange for exchange in self._parked if exchange not in free]
        return free

    # -- interest, deadlines, ends ---------------------------------------------------------------------

    def _look(self) -> None:
        """After a round: close what is to be closed, else watch for what the connection wants."""
        connection = self.connection
        if self.gone:
            return
        if connection.closing and not self.outbox.size and not self.exchanges:
            if self.unread and not connection.abrupt and not self.eof:
                self._begin_linger()
            else:
                self.driver.later(self.close) if self.driver.shared else self.close()
            return
        interest = READ if connection.reading and not self.eof and not self.lingering else 0
        if self.lingering:
            interest = READ
        if self.outbox.size:
            interest |= WRITE
        if interest != self._interest or not self._registered:
            self._watch(interest)

    def _watch(self, interest: int) -> None:
        if self.gone:
            return
        if not self._registered:
            self._registered = True
            self.driver.poller.add(self.descriptor, interest)
        elif interest != self._interest:
            self.driver.poller.change(self.descriptor, interest)
        self._interest = interest

    def _begin_linger(self) -> None:
        self.lingering = True
        self.octets_in = 0
        self.born = self.driver.now
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.driver.later(self.fail)
            return
        self._watch(READ)

    def _linger(self, data: bytes) -> None:
        self.octets_in += len(data)
        if not data or self.octets_in > LINGER_OCTETS or not self.lingering:
            self.close()

    def sweep(self, now: float) -> None:
        """Apply the deadlines; the driver calls it about twice a second."""
        if not self.gone:
            vigil = self._vigil = self._vigil or Vigil(self.born)
            vigil.look(self, now)

    def expire(self, waiting: Waiting) -> None:
        """The peer had its time to send what the connection waits for."""
        if waiting is Waiting.IDLE and self._arrived():
            return
        with self.lock:
            take(self, self.connection.expire())
        self.settle([])

    def grow_old(self) -> None:
        """The connection has lived long enough: the next answer says that it is the last."""
        if not self._draining:
            self._draining = True
            with self.lock:
                self.connection.drain()
            self.settle([])

    def _arrived(self) -> bool:
        """Something came just now: a request must not be met with a close."""
        if self.transport.secure:
            return False
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def drain(self, quiet: float = 0.0) -> None:
        """A graceful stop began, or this connection's time is over: close it after the request in service.

        An idle one is closed when its peer has said nothing for `quiet` seconds: the next request of a busy
        client is on its way, and its answer can say that it is the last.
        """
        if self.gone or self.lingering:
            return
        self.grow_old()
        idle = self.connection.waiting is Waiting.IDLE and not self.exchanges and not self.outbox.size
        if not idle or self.gone or self.connection.multiplexed or self._arrived():
            return
        if not quiet or self.driver.now - self.touched >= quiet:
            self.close()

    def wake(self) -> None:
        """Let threads and greenlets that wait for this channel look again."""
        for event in self.waiters:
            event.set()

    def fail(self) -> None:
        """The peer is gone, or too slow, or the server gives up: end at once."""
        self.gone = True
        for exchange in list(self.exchanges.values()):
            exchange.lost = True
            if exchange.body is not None and not exchange.body.complete:
                exchange.body.gone = exchange.body.gone or "the client left"
        parked, self._parked = self._parked, ()
        self.close()
        for exchange in parked:
            exchange.abandon()

    def close(self) -> None:
        """Give the descriptor back, once."""
        self.gone = True
        if not self.driver.forget(self):
            return
        if self.outbox is not EMPTY:
            self.outbox.close()
        if self._registered:
            self.driver.poller.remove(self.descriptor)
        self.socket.close()
        if self.waiters:
            self.wake()
