"""New connections: accepting them in fair shares, PROXY lines before TLS, and the TLS handshake.

Nothing here waits: a handshake is a member of the poller like any other, with its own deadline, so a peer
that does not go on costs a descriptor and nothing else.
"""

from __future__ import annotations

import errno
import os
import socket

# The plain type: what `socket.accept` makes costs half as much again, and greenlets put theirs in its place.
from _socket import socket as Socket
from typing import TYPE_CHECKING, Any

from hostler._channel import Channel
from hostler._poll import READ
from hostler.http import Address, Transport

if TYPE_CHECKING:
    from hostler._contexts import Listener
    from hostler._drive import Driver

BATCH = 32
"""Connections taken in one turn at most, so that those at hand are served between."""
FULL = 4
"""After so many turns in a row that left some in the backlog, perhaps, more are taken in a turn."""
SILENT = 32
"""So many connections are not looked at when they are accepted, after one that had sent nothing yet: a proxy makes
its connections a little before it speaks, and to ask too early costs as much as to answer."""
PAUSE = 0.2
"""Seconds without accepting after the process ran out of descriptors."""
YIELD = 0.01
"""Seconds in which a worker with more connections than another leaves new ones to that one."""
FOR_GOOD = float("inf")
_UNNAMED: Address = ("", 0)
_EVERY = ("", "0.0.0.0", "::")
_SHORT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Door:
    """A listener in the poller of one worker."""

    __slots__ = (
        "_driver",
        "_full",
        "_kind",
        "_listener",
        "_open",
        "_secure",
        "_silent",
        "_spare",
        "_take",
        "_yielded",
        "resume_at",
    )

    def __init__(self, driver: Driver, listener: Listener) -> None:
        self._driver = driver
        self._listener = listener
        self._secure = listener.secure
        self._open = self._yielded = False
        self._take = 1
        """Connections that are taken in a turn without asking in vain for one more."""
        self._full = 0
        """Turns in a row that took so many."""
        self._silent = 0
        """New connections that nothing is expected of at once, for one had nothing to say."""
        sock = listener.socket
        self._kind = (int(sock.family), int(sock.type), sock.proto)
        if not listener.unix:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the accepted ones have it of it
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self.resume_at = 0.0
        """When a closed door opens again; 0 while it is open."""

    def open(self) -> None:
        """Listen for connections."""
        self.resume_at = 0.0
        self._driver.pausing.discard(self)
        if not self._open:
            self._open = True
            self._driver.poller.add(self._listener.socket.fileno(), READ, exclusive=True)

    def look(self) -> None:
        """Another worker leaves a connection; it may be none of this listener's."""
        if self._open:
            self._accept_some(BATCH)  # nobody will tell of those that are left

    def look_again(self) -> None:
        """Register anew, so that what waits is told again, whatever worker it was told before."""
        if self._open:
            descriptor = self._listener.socket.fileno()
            self._driver.poller.remove(descriptor)
            self._driver.poller.add(descriptor, READ, exclusive=True)

    def shut(self, until: float = FOR_GOOD) -> None:
        """Leave connections in the backlog until then."""
        self.resume_at = until
        if until < FOR_GOOD:
            self._driver.pausing.add(self)
        else:
            self._driver.pausing.discard(self)
        if self._open:
            self._open = False
            self._driver.poller.remove(self._listener.socket.fileno())

    def close(self) -> None:
        """For good: once every process has closed its socket, who comes is refused instead of waiting in vain."""
        self.shut()
        self._listener.socket.close()
        os.close(self._spare)

    def ready(self, mask: int) -> None:
        """Connections wait."""
        del mask
        self._accept_some(self._take)

    def _accept_some(self, most: int) -> None:
        driver = self._driver
        for taken in range(most):
            if len(driver.members) >= driver.ample:
                if driver.stopping_accepts():
                    return
                if not self._yielded and driver.has_more_than_its_share():
                    self._yielded = True  # once: the other may be held by a request
                    self.shut(driver.now + YIELD)
                    return
            if not self._accept():
                self._take, self._full = max(1, taken), 0
                break
        else:
            self._full += 1
            if self._full >= FULL and self._take < BATCH:
                self._take, self._full = self._take * 2, 0
        self._yielded = False

    def empty(self) -> None:
        """Take everything that waits in the backlog: a graceful stop loses no connection that was made."""
        for _ in range(4096):
            if not self._accept():
                return

    def _accept(self) -> bool:
        try:
            descriptor, address = self._listener.socket._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _SHORT_OF:
                self._short(error)
                return False
            return True  # ECONNABORTED, EPROTO, EPERM of a firewall: that connection only
        sock: Any = (socket.socket if self._secure else Socket)(*self._kind, descriptor)
        sock.setblocking(False)
        try:
            if self._secure:
                self._driver.shake(sock, address, self._listener)
            else:
                prompt = self._silent == 0
                came = self._driver.admit(sock, address, self._listener, None, prompt=prompt)
                if not came:
                    self._silent = SILENT if prompt else self._silent - 1
        except OSError:  # the peer was gone before its socket could be asked anything
            sock.close()
        return True

    def _short(self, error: OSError) -> None:
        """Out of descriptors or memory: say so, close idle connections, shed one, and rest a little."""
        driver = self._driver
        driver.say_short(error)
        driver.close_idle(16)
        os.close(self._spare)
        try:
            shed, _ = self._listener.socket.accept()
            shed.close()
        except OSError as again:
            driver.log.error.debug("nothing to shed: %s", again)
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self.shut(driver.now + PAUSE)


class Handshake:
    """A connection before its first byte of HTTP: a PROXY header in the clear, then TLS."""

    __slots__ = (
        "_driver",
        "_interest",
        "_listener",
        "_peer",
        "_reader",
        "_since",
        "_socket",
        "_wrapped",
        "descriptor",
        "gone",
    )

    def __init__(
        self, driver: Driver, sock: socket.socket, peer: Any, listener: Listener, reader: Any
    ) -> None:
        self._driver = driver
        self._socket: Any = sock
        self._wrapped = False
        self._peer = peer
        self._listener = listener
        self._reader = reader
        self._since = driver.now
        self.descriptor = sock.fileno()
        self.gone = False
        self._interest = READ
        driver.poller.add(self.descriptor, READ)

    def ready(self, mask: int) -> None:
        """The peer sent something, or can take something."""
        del mask
        if self._reader is not None and not self._read_proxy():
            return
        if not self._wrapped:
            self._wrap()
        self._shake()

    def _read_proxy(self) -> bool:
        """Take exactly the PROXY header's octets; what follows belongs to TLS."""
        try:
            seen = self._socket.recv(4096, socket.MSG_PEEK)
            if not seen:
                self.close()
                return False
            done, address, used = self._reader.look(seen)
            if used:
                self._socket.recv(used)
        except BlockingIOError:
            return False
        except (OSError, ValueError) as error:
            self._driver.log.refused("proxy_bad", self._peer, str(error))
            self.close()
            return False
        if done:
            self._reader = None
            self._peer = address or self._peer
        return bool(done)

    def _wrap(self) -> None:
        from hostler._secure import SecureSocket  # noqa: PLC0415 - a worker without TLS does not pay for OpenSSL

        context = self._driver.context.tls(self._listener)
        assert context is not None
        self._wrapped = True
        self._socket = SecureSocket(context, self._socket)

    def _shake(self) -> None:
        sock = self._socket
        try:
            interest = sock.shake()
        except (OSError, ValueError) as error:
            self._driver.log.refused("tls_error", self._peer, str(error))
            self.close()
            return
        if interest:
            self._watch(interest)
            return
        self.gone = True
        self._driver.forget(self)
        self._driver.poller.remove(self.descriptor)
        self._driver.admit(sock, self._peer, self._listener, sock.protocol())

    def _watch(self, interest: int) -> None:
        if interest != self._interest:
            self._interest = interest
            self._driver.poller.change(self.descriptor, interest)

    def sweep(self, now: float) -> None:
        """The whole handshake has one deadline, which a drip does not renew."""
        if now - self._since > self._driver.patience.handshake:
            self._driver.log.refused("tls_timeout", self._peer)
            self.close()

    def drain(self, quiet: float = 0.0) -> None:
        """A stop began: a handshake under way may still become a request."""

    def close(self) -> None:
        """End it, once."""
        self.gone = True
        if self._driver.forget(self):
            self._driver.poller.remove(self.descriptor)
            self._socket.close()


def make_channel(driver: Driver, sock: Any, peer: Any, listener: Listener, alpn: str | None) -> Channel:
    """The channel of a socket that is ready for its protocol; `alpn` is None without TLS."""
    local: Address = listener.address  # which a listener on every address leaves open
    if listener.unix:
        local = _UNNAMED
    elif local[0] in _EVERY:
        local = sock.getsockname()[:2]
    # Also on a Unix socket there is an address, when a PROXY header told the client.
    if isinstance(peer, tuple):
        transport = Transport(peer[:2], local, False, alpn is not None, alpn or "")
    else:
        transport = Transport(_UNNAMED, local, True, alpn is not None, alpn or "")
    channel = Channel(driver, sock, listener, transport, driver.context.connect(listener, transport))
    if alpn is not None:
        channel.extra = sock.describe()
    return channel
