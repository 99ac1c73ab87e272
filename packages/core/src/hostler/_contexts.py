"""The bridge between the towers, as contracts: what a worker and a service may know of their process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    # Only for types: this module is imported with every plugin's value, which must stay light.
    import logging
    import socket
    import ssl

    from hostler.http import Connection, Head, Headers, Transport
    from hostler.settings import Settings


class Listener(Protocol):
    """A bound and listening socket with its rules, shared by the workers."""

    socket: socket.socket
    """Non-blocking."""
    scheme: str
    """`http`, `https`, or a plugin protocol's (`uwsgi`)."""
    unix: bool
    name: str
    """As a user reads it: `http://127.0.0.1:8000`, `unix:/run/app.sock`."""
    address: tuple[str, int]
    """Host and port for SERVER_NAME and SERVER_PORT; a Unix socket's path and 0."""

    @property
    def secure(self) -> bool:
        """TLS is spoken on it."""


class AccessLine(Protocol):
    """What the access log can say of one answered request; the adapter fills it."""

    @property
    def head(self) -> Head: ...
    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def headers(self) -> Sequence[tuple[str, str]] | Headers:
        """The response's fields as the application gave them."""

    @property
    def sent(self) -> int:
        """Octets of the body."""

    @property
    def started(self) -> float:
        """time.monotonic() when the application was called."""

    @property
    def seconds(self) -> float: ...
    @property
    def peer(self) -> tuple[str, int] | None: ...
    @property
    def environ(self) -> Mapping[str, Any] | None: ...


class RequestView(Protocol):
    """What an object that a service offers to requests may know of the one it was made for."""

    @property
    def head(self) -> Head: ...

    def departed(self) -> bool:
        """Whether nobody waits for the answer any more. Takes nothing from the connection; for any thread, cheap."""


class Logger(Protocol):
    """The error log and the access log of one process."""

    error: logging.Logger
    """Standard logger for everything that is not an access line."""
    access_wanted: bool
    """False: building an access line is wasted work."""

    def access(self, line: AccessLine) -> None:
        """Take one line; it may stay in a buffer until `flush`. Never raises, never blocks for long."""

    def flush(self) -> None:
        """Write what `access` buffered; the driver calls it once a turn of its loop."""

    def reopen(self) -> None:
        """USR1: open the log files anew."""

    def refused(self, kind: str, peer: Any, detail: str = "") -> None:
        """One line `refused kind=… peer=… …` for a connection that was refused, limited in rate per kind."""

    def measure(self, name: str, value: float, kind: str = "gauge") -> None:
        """A figure (`gauge`, `counter`, `timer`, `histogram`) for loggers that send some; else nothing."""

    def close(self) -> None: ...


class Hooks(Protocol):
    """The request-side hooks of the settings; each is None when the user set none."""

    pre_request: Any
    post_request: Any


class WorkerStatus(Protocol):
    """This worker's counters in the shared page; the driver sets them."""

    requests: int
    """Requests answered since the worker began."""
    active: int
    """Requests in service."""
    connections: int

    def fewest_elsewhere(self) -> int:
        """The least number of connections that another ready worker of this server holds; -1 when it is alone."""


class Bell(Protocol):
    """What every worker of this server hears when one rings it."""

    @property
    def descriptor(self) -> int:
        """Has an edge (EPOLLET) for each ring and is never read; -1 where the kernel tells all of each connection."""

    def ring(self) -> None:
        """A connection waits in the backlog that this worker does not take: let the others look."""


class WorkerContext(Protocol):
    """Everything a worker may know. It installs no signal handler, drops no privilege, reads no environment."""

    settings: Settings
    listeners: Sequence[Listener]
    log: Logger
    wakeup: int
    """A descriptor that becomes readable when `turn()` has something to do."""
    stopping: str
    """`""` while serving, `"graceful"` after TERM (or enough requests), `"quick"` after INT or QUIT."""
    age: int
    """How many workers were forked before this one."""
    slot: int
    multiprocess: bool
    handle: Any
    """The object that gunicorn's hooks get as `worker` (pid, age, cfg, log, app, ppid, alive, nr)."""

    def load_app(self) -> Any:
        """Import the application (once); its errors end the worker with the right exit code."""

    def ready(self) -> None:
        """The worker accepts: told to the arbiter once, after the application was loaded."""

    def beat(self) -> None:
        """Alive: renew the deadline in the shared page. Call at least once a second from the serving loop."""

    def turn(self) -> None:
        """Empty `wakeup` and act on what came: signals, a lost arbiter. May change `stopping`. Cheap."""

    def connect(self, listener: Listener, transport: Transport) -> Connection:
        """The connection object for a socket just accepted (and, with TLS, shaken hands with)."""

    def tls(self, listener: Listener) -> ssl.SSLContext | None:
        """The listener's TLS context, one per worker; None for a plain one."""

    def proxied(self, listener: Listener, peer: Any = None) -> Any:
        """A reader (`look(seen) -> (done, address, used)`) for the PROXY header that this peer must send before TLS.

        None: it must not send one. `peer` is what `accept` returned. `look` raises `ValueError`.
        """

    def served(self) -> None:
        """One request is done: counts for `max_requests` and the status; may set `stopping`."""

    def stuck(self, report: str) -> None:
        """Log a stuck request with its stack, and ask to be replaced."""

    def pre_request(self, request: Any) -> None:
        """Call the user's hook; what it raises goes to the caller, as with gunicorn (a 500)."""

    def post_request(self, request: Any, environ: Any, response: Any) -> None:
        """Call the user's hook with as many of its arguments as it takes; errors are logged."""

    status: WorkerStatus
    bell: Bell
    offers: Sequence[tuple[str, Callable[[RequestView], Any]]]
    """What services offer to each request: the key in its `environ`, or in its scope's `extensions`, and what
    makes the object. `hostler.drive` puts them there; a worker with its own IO does it, before `pre_request`."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a service's `bind` made in the arbiter: descriptors that live across its restarts."""

    descriptors: Mapping[str, int] = field(default_factory=dict)
    """Name -> descriptor; inherited by the service and by every worker."""
    hidden: tuple[str, ...] = ()
    """Names of those that HTTP workers must not inherit."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Plain values (paths, tokens) for the service, `join` and `control`."""


class ServiceSetup(Protocol):
    """What a service's `bind` may use, in the arbiter before any fork."""

    settings: Settings
    log: logging.Logger

    def runtime_directory(self) -> str:
        """A private directory (0700) of this server instance, removed at its end."""


class ServiceContext(Protocol):
    """Everything a service may know of its process."""

    settings: Settings
    bound: Bound
    log: logging.Logger
    wakeup: int
    stopping: str
    reloading: bool
    """A HUP came; the service clears it when it has acted."""

    def ready(self, status: str = "") -> None:
        """The service can be used: the arbiter starts the workers after this."""

    def report(self, status: str) -> None:
        """One line for `server ctl status`."""

    def measure(self, name: str, value: float, kind: str = "gauge") -> None:
        """A figure for the server's logger, as `Logger.measure`; names begin with `hostler.` and the service's name."""

    def beat(self) -> None: ...

    def turn(self) -> None:
        """Empty `wakeup` and act on signals; may change `stopping` and `reloading`."""

    def reread(self) -> Any:
        """After a HUP: read the sources anew; renews `settings` and returns the service's own settings.

        Raises `HostlerError` for what is wrong in them; then nothing has changed.
        """

    def fork_reset(self) -> None:
        """In a child that the service forks: give up signal handlers and descriptors of the service."""
