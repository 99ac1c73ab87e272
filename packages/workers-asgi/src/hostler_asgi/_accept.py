"""New connections: accepted in fair shares, a PROXY header before TLS, the handshake in a task of its own.

Nothing here waits in the accept path, and nothing that goes wrong with one connection touches another.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

from hostler.plugin import Listener

from hostler_asgi._drive import Drive
from hostler_asgi._tls import own_certificate
from hostler_asgi._waiters import done as let_go

if TYPE_CHECKING:
    from hostler_asgi._worker import Worker

BATCH = 32
"""Connections taken in one turn at most, so that those at hand are served between."""
PAUSE = 0.2
"""Seconds without accepting after the process ran out of descriptors."""
YIELD = 0.01
"""Seconds in which a worker with more connections than another leaves new ones to that one."""
_SHORT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Door:
    """A listener in the loop of one worker."""

    def __init__(self, worker: Worker, listener: Listener) -> None:
        self._worker = worker
        self._listener = listener
        self._tls = tls = worker.ctx.tls(listener)
        if tls is not None and worker.ctx.settings.ssl_context is None:
            # The hook may have given it several certificates, of which the client's abilities choose one.
            worker.certificates[tls] = own_certificate(tls)
        self._open = False
        self._closed = False
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Listen for connections."""
        if not self._open and not self._closed:
            self._open = True
            self._worker.loop.add_reader(self._listener.socket.fileno(), self._ready)

    def shut(self, seconds: float | None = None) -> None:
        """Leave connections in the backlog, for so long or until `open`."""
        if self._open:
            self._open = False
            self._worker.loop.remove_reader(self._listener.socket.fileno())
        if seconds is not None:
            self._worker.loop.call_later(seconds, self._worker.open_doors)

    def close(self, *, empty: bool) -> None:
        """For good; `empty`: after taking what waits in the backlog, so that a stop loses no connection."""
        if self._closed:
            return
        self.shut()
        self._closed = True
        for _ in range(4096 if empty else 0):
            if not self._accept():
                break
        self._listener.socket.close()  # once every process has, who comes is refused instead of waiting in vain
        os.close(self._spare)

    def _ready(self) -> None:
        worker = self._worker
        for _ in range(BATCH):
            if worker.is_full():
                return
            if worker.has_more_than_its_share():
                self.shut(YIELD)
                return
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Take one connection; False when there is none, or no room for one."""
        try:
            sock, address = self._listener.socket.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _SHORT_OF:
                self._short(error)
                return False
            return True  # ECONNABORTED, EPROTO, EPERM of a firewall: that connection only
        sock.setblocking(False)
        task = self._worker.loop.create_task(self._admit(sock, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._worker.opening += 1
        return True

    async def _admit(self, sock: socket.socket, address: Any) -> None:
        """From a socket to a drive; the worker is told which of the two ends it comes to."""
        worker, listener, tls = self._worker, self._listener, self._tls
        seconds = worker.handshake_timeout if tls is not None else None
        try:
            reader = worker.ctx.proxied(listener, address) if tls is not None else None
            if reader is not None:
                address = await asyncio.wait_for(self._proxy_header(sock, reader, address), seconds)
            drive = Drive(worker, listener, address)
            await worker.loop.connect_accepted_socket(lambda: drive, sock, ssl=tls, **self._tls_times())
        except (asyncio.TimeoutError, ConnectionAbortedError):
            self._give_up(sock, address, "tls_timeout", "")
        except (ssl.SSLError, OSError, ValueError) as error:
            kind = "proxy_bad" if isinstance(error, _ProxyError) else "tls_error"
            self._give_up(sock, address, kind, str(error))
        except asyncio.CancelledError:
            sock.close()
            raise

    def _tls_times(self) -> dict[str, float | None]:
        """How long TLS may take to begin and to end: a client that never answers its end would hold a stop."""
        if self._tls is None:
            return {}
        times = {"ssl_handshake_timeout": self._worker.handshake_timeout}
        if sys.version_info >= (3, 11):
            times["ssl_shutdown_timeout"] = self._worker.patience.linger or None
        return times

    def _give_up(self, sock: socket.socket, address: Any, kind: str, why: str) -> None:
        sock.close()
        self._worker.ctx.log.refused(kind, address, why)
        self._worker.refused()

    async def _proxy_header(self, sock: socket.socket, reader: Any, address: Any) -> Any:
        """Take exactly the PROXY header's octets; what follows belongs to TLS."""
        loop = self._worker.loop
        while True:
            ready = loop.create_future()
            loop.add_reader(sock.fileno(), let_go, ready)
            try:
                await ready
            finally:
                loop.remove_reader(sock.fileno())
            seen = sock.recv(4096, socket.MSG_PEEK)
            if not seen:
                raise _ProxyError("the connection ended before its PROXY header")
            try:
                done, named, used = reader.look(seen)
            except ValueError as error:
                raise _ProxyError(str(error)) from None
            if used:
                sock.recv(used)
            if done:
                return named or address
            if not used:
                await asyncio.sleep(0.02)  # the octets that were looked at keep the socket readable

    def _short(self, error: OSError) -> None:
        """Out of descriptors or memory: say so, close idle connections, shed one, and rest a little."""
        worker = self._worker
        worker.say_short(error)
        worker.close_idle(16)
        os.close(self._spare)
        try:
            shed, _ = self._listener.socket.accept()
            shed.close()
        except OSError as again:
            worker.log.debug("nothing to shed: %s", again)
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self.shut(PAUSE)


class _ProxyError(ValueError):
    """The PROXY header cannot be believed."""
