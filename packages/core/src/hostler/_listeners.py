"""Listening sockets: opened from `Bind` values, inherited from a service manager or an older arbiter.

The arbiter owns every listener; workers get them by fork. A file of a Unix socket is removed only when it
is surely nobody's or ours. Refuses to know protocols, connections and the application.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hostler import _unix
from hostler._bind import Bind, binds
from hostler._protocols import prompt
from hostler.errors import ListenError

if TYPE_CHECKING:
    import ssl

    from hostler._configuration import Configuration

ATTEMPTS = 5
"""Tries for an address in use, a second apart: what gunicorn's users expect of a quick restart."""
_DEFER = getattr(socket, "TCP_DEFER_ACCEPT", 0)
_TCP_INFO = getattr(socket, "TCP_INFO", 11)

_log = logging.getLogger("hostler.error")


@dataclass(frozen=True, slots=True)
class Inherited:
    """A descriptor that was passed in: by systemd (with its name), or by the arbiter before this one."""

    descriptor: int
    name: str = ""


class OpenListener:
    """A bound and listening socket with its rules (the contract is `Listener`)."""

    __slots__ = ("__weakref__", "_inode", "address", "bind", "context", "name", "scheme", "socket", "unix")

    def __init__(self, sock: socket.socket, bind: Bind, inode: tuple[int, int] | None = None) -> None:
        self.socket = sock
        self.bind = bind
        self.scheme = bind.scheme
        self.unix = sock.family == socket.AF_UNIX
        self.context: ssl.SSLContext | None = None
        """Made in the arbiter, before privileges drop: workers that share it share TLS session tickets."""
        self._inode = inode
        found = sock.getsockname()
        if self.unix:
            path = found if isinstance(found, str) else os.fsdecode(found)
            self.address: tuple[str, int] = (path or bind.path, 0)
            shown = "unix:" if bind.scheme == "http" else f"{bind.scheme}+unix:"
            self.name = shown + self.address[0].replace("\0", "@")
        else:
            self.address = (found[0], found[1])
            host = f"[{found[0]}]" if ":" in found[0] else found[0]
            self.name = f"{bind.scheme}://{host}:{found[1]}"

    def __repr__(self) -> str:
        return f"<listener {self.name}>"

    @property
    def secure(self) -> bool:
        return self.bind.certificates is not None

    def fileno(self) -> int:
        return self.socket.fileno()

    def with_rules(self, bind: Bind) -> OpenListener:
        """The same socket under the rules of a new configuration."""
        return OpenListener(self.socket, bind, self._inode)

    def for_worker(self) -> OpenListener:
        """This listener, or with `reuse_port` a socket of the worker's own.

        Call it in the child before privileges drop: the kernel shares a port only among sockets of one user.
        """
        if not self.bind.reuse_port:
            return self
        sock = _tcp(replace(self.bind, port=self.address[1]), v6only=_v6only(self.socket))
        sock.listen(self.bind.backlog)
        own = OpenListener(sock, self.bind)
        own.context = self.context
        return own

    def waiting(self) -> int:
        """Connections that wait in the kernel to be accepted; -1 where it does not tell (Linux does for TCP)."""
        try:
            found = self.socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 104)
        except OSError:
            return -1
        # struct tcp_info: of a listening socket, tcpi_unacked holds the length of the queue.
        return int(struct.unpack_from("8B24I", found)[12])

    def close(self, *, unlink: bool = False) -> None:
        """Close the socket; with `unlink` also remove a Unix socket's file, if it is still ours."""
        path = self.address[0] if self.unix else ""
        self.socket.close()
        if unlink and self._inode is not None and path and _unix.inode(path) == self._inode:
            with contextlib.suppress(OSError):
                os.unlink(path)


def open_listeners(
    configuration: Configuration,
    inherited: Sequence[Inherited] = (),
    *,
    activated: bool = False,
    current: Sequence[OpenListener] = (),
    attempts: int = ATTEMPTS,
) -> list[OpenListener]:
    """Every listener of the configuration, listening.

    `inherited` are descriptors passed in: each serves the bind that has its address (or its `fd://NAME`).
    `activated`: they come from systemd, which then decides the addresses: those that no bind names are
    served under the flat settings, and binds that no descriptor has are left closed. `current`: listeners
    of the configuration before; what stands on the same address is kept. Whoever calls closes the rest of
    both (`unused`). Raises `ListenError`, with everything opened here closed again.
    """
    wanted = list(binds(configuration.settings))
    passed = {item.descriptor: item for item in inherited}
    opened: list[OpenListener] = []
    with contextlib.ExitStack() as undo:
        if activated:
            wanted = _activated(wanted, list(passed.values()))
        for bind in wanted:
            listener = _kept(bind, current) or _passed_in(bind, passed)
            if listener is None:
                listener = _open(bind, wanted, configuration, attempts)
                undo.callback(listener.close, unlink=True)
            opened.append(listener)
        _make_contexts(opened, configuration)
        _await_octets(opened, configuration)
        undo.pop_all()
    return opened


def unused(listeners: Sequence[OpenListener], before: Sequence[OpenListener]) -> list[OpenListener]:
    """Those of `before` whose socket serves no listener any more; to be closed, with their files."""
    kept = {listener.socket for listener in listeners}
    return [listener for listener in before if listener.socket not in kept]


def _make_contexts(listeners: Sequence[OpenListener], configuration: Configuration) -> None:
    if any(listener.secure for listener in listeners):
        from hostler import _tls  # noqa: PLC0415 - a server without TLS does not pay for OpenSSL

        for listener in listeners:
            if listener.secure:
                listener.context = _tls.prepare(listener.bind, configuration)


def _await_octets(listeners: Sequence[OpenListener], configuration: Configuration) -> None:
    """Where every peer speaks at once, the kernel hands a connection over with its first octets.

    That saves a worker the wait for them, a registration and its end. One that stays silent is handed over after a
    second. Not with `reuse_port`: what a closing socket of one worker held would be lost. A socket that speaks
    something else since a reload loses it again, but one that the service manager set up so keeps it.
    """
    for listener in listeners:
        if listener.unix or not _DEFER:
            continue
        bind = listener.bind
        wanted = not bind.reuse_port and prompt(bind, configuration)
        if wanted or not bind.passed:
            listener.socket.setsockopt(socket.IPPROTO_TCP, _DEFER, int(wanted))


# -- passed in -----------------------------------------------------------------------------------------


def _activated(wanted: Sequence[Bind], passed: Sequence[Inherited]) -> list[Bind]:
    """The binds that systemd's sockets serve: by name, by address, else the first bind's rules."""
    chosen: list[Bind] = []
    for item in passed:
        bind = next((bind for bind in wanted if _serves(bind, item)), None)
        if bind is None:
            plain = next((bind for bind in wanted if not bind.passed), wanted[0])
            bind = replace(plain, text=f"fd://{item.descriptor}", path="", host="", port=0)
        chosen.append(replace(bind, descriptor=item.descriptor, label="", reuse_port=False))
    return chosen


def _serves(bind: Bind, item: Inherited) -> bool:
    if bind.label or bind.descriptor is not None:
        return bind.label == item.name if bind.label else bind.descriptor == item.descriptor
    return _at(_adopt(item.descriptor, bind), bind)


def _passed_in(bind: Bind, passed: dict[int, Inherited]) -> OpenListener | None:
    if bind.descriptor is not None:
        return _from_descriptor(bind, bind.descriptor)
    for descriptor, item in passed.items():
        if _serves(bind, item):
            del passed[descriptor]
            return _from_descriptor(bind, descriptor)
    if bind.label:
        raise ListenError(f"bind {bind.text!r}: no socket of that name was passed in (LISTEN_FDNAMES)")
    return None


def _adopt(descriptor: int, bind: Bind) -> socket.socket:
    """A socket object over a duplicate, so that a look does not take the descriptor away from its owner."""
    try:
        return socket.socket(fileno=os.dup(descriptor))
    except OSError as error:
        raise ListenError(
            f"bind {bind.text!r}: descriptor {descriptor} is no open socket ({error.strerror})"
        ) from None


def _from_descriptor(bind: Bind, descriptor: int) -> OpenListener:
    with _adopt(descriptor, bind) as probe:
        if probe.type != socket.SOCK_STREAM:
            raise ListenError(f"bind {bind.text!r}: descriptor {descriptor} is not a stream socket")
        if not _accepts(probe) and not bind.reuse_port:
            # An inherited socket that listens is left alone: SELinux may refuse a second listen().
            try:
                probe.listen(bind.backlog)
            except OSError as error:
                raise ListenError(
                    f"bind {bind.text!r}: descriptor {descriptor} cannot listen ({error.strerror})"
                ) from None
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    sock.set_inheritable(False)
    path = sock.getsockname() if sock.family == socket.AF_UNIX else ""
    return OpenListener(sock, bind, _unix.inode(path) if isinstance(path, str) and path else None)


def _accepts(sock: socket.socket) -> bool:
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # pragma: no cover - some systems do not tell
        return False


def _kept(bind: Bind, current: Sequence[OpenListener]) -> OpenListener | None:
    for listener in current:
        before = listener.bind
        same = (before.host, before.port, before.path, before.descriptor, before.label) == (
            bind.host,
            bind.port,
            bind.path,
            bind.descriptor,
            bind.label,
        )
        if same and before.reuse_port == bind.reuse_port and listener.socket.fileno() >= 0:
            kept = listener.with_rules(bind)
            if bind.backlog != before.backlog and not bind.reuse_port:
                listener.socket.listen(bind.backlog)
            return kept
    return None


def _at(sock: socket.socket, bind: Bind) -> bool:
    """The socket is bound to the bind's address; port 0 means any. Closes the object it was given."""
    with sock:
        found: Any = sock.getsockname()
        if bind.path:
            return sock.family == socket.AF_UNIX and found == bind.path
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or (bind.port and found[1] != bind.port):
            return False
        try:
            return bool(found[0] == _resolve(bind)[1][0])
        except ListenError:
            return False


# -- opened here ---------------------------------------------------------------------------------------


def _open(bind: Bind, wanted: Sequence[Bind], configuration: Configuration, attempts: int) -> OpenListener:
    for left in range(attempts - 1, -1, -1):
        try:
            if bind.path:
                listener = OpenListener(*_unix.open_socket(bind, _unix_mode(bind, configuration)))
            else:
                v6only = any(not other.ipv6 and _overlaps(other, bind) for other in wanted)
                listener = OpenListener(_tcp(bind, v6only=v6only), bind)
                if not bind.reuse_port:
                    listener.socket.listen(bind.backlog)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not left:
                raise ListenError(_reason(bind, error)) from None
            _log.error("bind %r: the address is in use; trying again in a second", bind.text)
            time.sleep(1)
        else:
            _tell_backlog(bind)
            return listener
    raise ListenError(f"bind {bind.text!r}: not tried")  # attempts is at least 1


def _overlaps(plain: Bind, bind: Bind) -> bool:
    """An IPv6 wildcard would take the port of an IPv4 address that is wanted beside it."""
    return (
        bind.ipv6
        and bind.host in ("::", "::0")
        and not plain.unix
        and not plain.passed
        and plain.port == bind.port
    )


def _reason(bind: Bind, error: OSError) -> str:
    hint = {
        errno.EADDRINUSE: "the address is in use; is another server running there?",
        errno.EACCES: "no permission (ports below 1024 need root or CAP_NET_BIND_SERVICE)",
        errno.EADDRNOTAVAIL: "this machine has no such address",
        errno.ENOENT: "the directory does not exist",
    }.get(error.errno or 0, error.strerror or str(error))
    if bind.path and error.errno == errno.EACCES:
        hint = "no permission to write into the directory"
    return f"bind {bind.text!r}: cannot listen: {hint}"


def _resolve(bind: Bind) -> tuple[int, tuple[Any, ...]]:
    family = socket.AF_INET6 if bind.ipv6 else socket.AF_UNSPEC
    try:
        found = socket.getaddrinfo(bind.host, bind.port, family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ListenError(
            f"bind {bind.text!r}: {bind.host!r} is not an address of this machine ({error})"
        ) from None
    # A name such as localhost has addresses of both kinds; its users expect the IPv4 one.
    found.sort(key=lambda item: item[0] != socket.AF_INET)
    return found[0][0], found[0][4]


def _tcp(bind: Bind, *, v6only: bool) -> socket.socket:
    family, address = _resolve(bind)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
        if bind.reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Accepted sockets inherit it on Linux: small answers are not held back.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _v6only(sock: socket.socket) -> bool:
    if sock.family != socket.AF_INET6:
        return False
    return bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))


def _unix_mode(bind: Bind, configuration: Configuration) -> int:
    """Permissions of a Unix socket: its own, the setting's, or what a `umask` that stands alone leaves."""
    settings, origins = configuration.settings, configuration.origins
    if bind.mode is not None:
        return bind.mode
    if "umask" in origins and "socket_mode" not in origins:
        return 0o666 & ~settings.umask
    return settings.socket_mode


def _tell_backlog(bind: Bind) -> None:
    with contextlib.suppress(OSError, ValueError), open("/proc/sys/net/core/somaxconn") as file:
        most = int(file.read())
        if most < bind.backlog:
            _log.info(
                "bind %r: the kernel cuts backlog %d to %d (net.core.somaxconn)",
                bind.text,
                bind.backlog,
                most,
            )
