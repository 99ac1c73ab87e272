"""A worker in a thread of the test's process, under a context that is only what the contract says.

The tests of the real command line are in `test_live.py`; everything that is about messages is told here, where
a test can look at what the application saw.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostler.plugin import Limits, Opening, Policy
from hostler.settings import Settings
from hostler_asgi import AsgiSettings
from hostler_asgi._worker import serve


def _open_http1() -> Callable[[Opening], Any]:
    """HTTP/1 as any worker gets it: through its entry point."""
    (found,) = importlib.metadata.entry_points(group="hostler.protocols", name="http1")
    module, _, name = found.load().open.partition(":")
    opened: Callable[[Opening], Any] = getattr(importlib.import_module(module), name)
    return opened


open_connection = _open_http1()


class Log:
    def __init__(self) -> None:
        self.error = logging.getLogger(f"asgi-test-{id(self)}")
        self.error.propagate = False
        self.error.setLevel(logging.DEBUG)
        self.records: list[logging.LogRecord] = []
        handler = logging.Handler()
        handler.emit = self.records.append  # type: ignore[method-assign]
        self.error.addHandler(handler)
        self.access_wanted = True
        self.lines: list[Any] = []
        self.refusals: list[tuple[str, str]] = []

    def access(self, line: Any) -> None:
        self.lines.append((line.head.method, line.status, line.sent, line.seconds))

    def flush(self) -> None: ...

    def refused(self, kind: str, peer: Any, detail: str = "") -> None:
        self.refusals.append((kind, detail))

    @property
    def errors(self) -> list[str]:
        return [record.getMessage() for record in self.records if record.levelno >= logging.WARNING]


class Status:
    requests = active = connections = 0

    def fewest_elsewhere(self) -> int:
        return -1


@dataclasses.dataclass(eq=False)
class Listener:
    socket: socket.socket
    address: Any
    scheme: str = "http"
    unix: bool = False
    name: str = "test"
    secure: bool = False


PATIENT = dict.fromkeys(
    (
        "first_byte_timeout",
        "header_timeout",
        "body_timeout",
        "write_timeout",
        "keepalive",
        "graceful_timeout",
    ),
    60.0,
)
"""A test that is about a deadline sets it; for all others even a slow machine is in time."""


class Context:
    """`WorkerContext`, and the handle of the test on the worker."""

    multiprocess = False
    age = slot = 1
    handle = None

    def __init__(self, app: Any, core: dict[str, Any], limits: dict[str, Any]) -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        self.address = sock.getsockname()
        self.listeners = [Listener(sock, self.address)]
        self.settings = dataclasses.replace(Settings(), **{**PATIENT, **core})
        self.log = Log()
        self.status = Status()
        self.stopping = ""
        self.wakeup, self._wake = os.pipe()
        self.became_ready = threading.Event()
        self.requests: list[Any] = []
        self.offers: Any = ()
        self._app = app
        self._limits = Limits(**limits)
        self._shared: dict[str, Any] = {}
        self.error: BaseException | None = None

    def load_app(self) -> Any:
        return self._app

    def ready(self) -> None:
        self.became_ready.set()

    def beat(self) -> None: ...

    def turn(self) -> None:
        os.read(self.wakeup, 100)

    def connect(self, listener: Any, transport: Any) -> Any:
        settings = self.settings
        return open_connection(
            Opening(transport, self._limits, Policy(), 1000, settings.keepalive > 0, None, True, self._shared)
        )

    def tls(self, listener: Any) -> Any:
        return None

    def proxied(self, listener: Any, peer: Any = None) -> Any:
        return None

    def served(self) -> None: ...

    def pre_request(self, request: Any) -> None: ...

    def post_request(self, request: Any, environ: Any, response: Any) -> None: ...

    # -- the test's side -------------------------------------------------------------------------------

    def start(self, own: AsgiSettings) -> None:
        def run() -> None:
            try:
                serve(self, own)  # type: ignore[arg-type]
            except BaseException as error:
                self.error = error
                self.log.error.exception("the worker ended")
            finally:
                self.became_ready.set()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert self.became_ready.wait(60)

    def stop(self, how: str = "graceful") -> None:
        self.stopping = self.stopping if self.stopping == "quick" else how
        os.write(self._wake, b"x")
        self.thread.join(60)
        assert not self.thread.is_alive()

    def connect_client(self, timeout: float = 60) -> socket.socket:
        return socket.create_connection(self.address[:2], timeout=timeout)

    def close(self) -> None:
        if self.thread.is_alive():
            self.stop("quick")
        self.listeners[0].socket.close()
        os.close(self.wakeup)
        os.close(self._wake)


def until(condition: Any, seconds: float = 60) -> None:
    """Poll, with a generous deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


class Raw:
    """A client that says and hears octets."""

    def __init__(self, address: Any, timeout: float = 60) -> None:
        self.socket = socket.create_connection(address[:2], timeout=timeout)
        self.seen = b""

    def say(self, data: bytes) -> Raw:
        self.socket.sendall(data)
        return self

    def hear(self, end: bytes) -> bytes:
        """Everything up to and with `end`."""
        while end not in self.seen:
            data = self.socket.recv(65536)
            assert data, f"the connection ended after {self.seen!r}"
            self.seen += data
        cut = self.seen.index(end) + len(end)
        found, self.seen = self.seen[:cut], self.seen[cut:]
        return found

    def octets(self, count: int) -> bytes:
        while len(self.seen) < count:
            data = self.socket.recv(65536)
            assert data, f"the connection ended after {self.seen!r}"
            self.seen += data
        found, self.seen = self.seen[:count], self.seen[count:]
        return found

    def rest(self) -> bytes:
        """Everything until the server closes."""
        found = [self.seen]
        self.seen = b""
        while True:
            try:
                found.append(self.socket.recv(1 << 18))
            except ConnectionResetError:
                break
            if not found[-1]:
                break
        return b"".join(found)

    def reset(self) -> None:
        """Leave as rudely as TCP allows."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


LOOPS = ["asyncio"] + (["uvloop"] if importlib.util.find_spec("uvloop") else [])


@pytest.fixture(params=LOOPS)
def loop_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def serve_app(loop_name: str) -> Iterator[Callable[..., Context]]:
    """`serve_app(app, own={…}, core={…}, limits={…}, offers=(…))`: a running worker."""
    contexts: list[Context] = []

    def start(
        app: Any,
        *,
        own: dict[str, Any] | None = None,
        core: dict[str, Any] | None = None,
        limits: dict[str, Any] | None = None,
        offers: Any = (),
    ) -> Context:
        context = Context(app, core or {}, limits or {})
        context.offers = offers
        contexts.append(context)
        context.start(AsgiSettings(**{"loop": loop_name, **(own or {})}))
        return context

    yield start
    for context in contexts:
        context.close()


@pytest.fixture
def raw() -> Iterator[Callable[[Context], Raw]]:
    """`raw(context)`: a client on a fresh connection."""
    clients: list[Raw] = []

    def connect(context: Context) -> Raw:
        clients.append(Raw(context.address))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def eventually() -> Callable[..., None]:
    return until
