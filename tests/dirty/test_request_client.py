"""The client in the request, with every worker class: it carries the trace, and its calls end with their client."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request

import pytest
from h2.connection import H2Connection
from h2.events import RemoteSettingsChanged
from pool_server import PATIENCE, Server, wait_for

WORKERS = ["sync", "gthread", "gevent", "eventlet", "asgi"]
MULTIPLEXING = ["gthread", "gevent", "eventlet", "asgi"]
TRACE = {
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tracestate": "vendor=1",
    "baggage": "user=5",
}


class Site(Server):
    """A server of `pool_requests`."""

    def __init__(self, worker, directory):
        protocols = ("h2,h1", "--http2-cleartext", "prior-knowledge") if worker in MULTIPLEXING else ("h1",)
        super().__init__(
            worker, directory, "--keep-alive", "60", "--access-logfile", "-", "--http-protocols", *protocols,
            slots=1, dirty="pool_requests:Desk", app=f"pool_requests:{'asgi' if worker == 'asgi' else 'wsgi'}",
        )  # fmt: skip

    def begin(self, path):
        """Send a request; the socket on which its answer would come."""
        client = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return client

    def waiting(self):
        return self.ctl("status")["apps"]["pool_requests:Desk"]["queued"]

    def ask(self, path, **fields):
        """Status, fields and body of an answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=fields)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()


class H2Client:
    """A connection of HTTP/2 whose settings are agreed on."""

    def __init__(self, port):
        self._peer = H2Connection()
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._peer.initiate_connection()
        self._say()
        while not any(isinstance(event, RemoteSettingsChanged) for event in self.hear()):
            continue

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._socket.close()

    def _say(self):
        self._socket.sendall(self._peer.data_to_send())

    def ask(self, stream, path):
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", path)]
        self._peer.send_headers(stream, fields, end_stream=True)
        self._say()

    def reset(self, stream):
        """Cancel it (RFC 9113, 7)."""
        self._peer.reset_stream(stream, 8)
        self._say()

    def hear(self):
        block = self._socket.recv(65536)
        assert block, "the connection ended"
        events = self._peer.receive_data(block)
        self._say()
        return events


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """A function that gives the server of a worker class, one for all tests of this module."""
    started = {}

    def of(worker):
        if worker not in started:
            started[worker] = Site(worker, tmp_path_factory.mktemp(worker))
        return started[worker]

    yield of
    codes = [site.stop() for site in started.values()]
    logs = "".join(site.log.read_text() for site in started.values())
    print(logs)
    assert not any(codes)
    assert "Traceback" not in logs


class Gate:
    """A file that lets an action go on, and what the action tells beside it."""

    def __init__(self, path):
        self.path = path

    def wait(self, what):
        told = self.path.with_name(f"{self.path.name}.{what}")
        wait_for(told.exists, f"{self.path.name}: {what}")

    def told(self):
        return {path.suffix for path in self.path.parent.glob(f"{self.path.name}.*")}


@pytest.fixture
def gate(tmp_path):
    """A function that gives gates."""
    return lambda name: Gate(tmp_path / name)


def read(client, what):
    """Read until this came."""
    seen = b""
    while what not in seen:
        block = client.recv(4096)
        assert block, seen
        seen += block


@pytest.mark.parametrize("worker", WORKERS)
def test_a_client_leaves(sites, gate, worker):
    """A call in the queue is never executed, one that runs is interrupted, a stream's generator is closed."""
    site, one, two, three = sites(worker), gate("one"), gate("two"), gate("three")
    first = site.begin(f"/hold?gate={one.path}")
    one.wait("begun")
    second = site.begin(f"/hold?gate={two.path}")
    wait_for(site.waiting, "the waiting call")
    second.close()
    wait_for(lambda: str(two.path) in site.log.read_text(), "the end of the second request")
    first.close()
    one.wait("interrupted")
    third = site.begin(f"/ticks?gate={three.path}")
    read(third, b"tick")
    third.close()
    three.wait("closed")
    assert not two.told()


@pytest.mark.parametrize("worker", WORKERS)
def test_a_client_that_stays(sites, gate, worker):
    """It is answered."""
    one = gate("one")
    with sites(worker).begin(f"/hold?gate={one.path}") as client:
        one.wait("begun")
        one.path.touch()
        read(client, b'"held"')
    assert one.told() == {".begun"}


@pytest.mark.parametrize("worker", WORKERS)
def test_trace(sites, worker):
    """What the request's fields say of it is seen by the action."""
    site = sites(worker)
    for path in ("/trace", "/typed"):
        assert json.loads(site.ask(path, **TRACE)[2]) == TRACE
        assert json.loads(site.ask(path)[2]) == {}


@pytest.mark.parametrize("worker", WORKERS)
def test_time(sites, worker):
    """All calls of a request share the time that it was given."""
    site = sites(worker)
    first, second = json.loads(site.get("/within"))
    assert 0 < first <= 60
    assert 0 < second <= 50
    status, fields, body = site.ask("/over")
    assert (status, body) == (503, "Service Unavailable: try again later\n")
    assert fields["Retry-After"] == "1"


@pytest.mark.parametrize("worker", WORKERS)
def test_errors_become_answers(sites, gate, worker):
    """While no answer has begun; the log says what it was."""
    site, one = sites(worker), gate("one")
    for path, status in (
        (f"/late?gate={one.path}", 504),
        (f"/late-stream?gate={one.path}", 504),
        ("/die", 502),
    ):
        # On a busy machine its time may be over in the queue.
        wait_for(lambda path=path, status=status: site.ask(path)[0] == status, f"{status} for {path}")
    told = []

    def served():
        status, fields, _ = site.ask("/remaining")
        told.append((status, fields["Retry-After"]))
        return status == 200

    wait_for(served, "another worker")
    assert all(status == 503 and int(after) >= 1 for status, after in told[:-1])
    log = site.log.read_text()
    assert "GET '/late': answered with 504: DirtyTimeoutError: " in log
    assert "GET '/die': answered with 502: DirtyWorkerError: " in log


def test_a_thread_beside_the_loop(sites, gate):
    """A blocking call in a thread of the asgi worker ends as well."""
    one = gate("one")
    client = sites("asgi").begin(f"/thread?gate={one.path}")
    one.wait("begun")
    client.close()
    one.wait("interrupted")


@pytest.mark.parametrize("worker", MULTIPLEXING)
def test_a_stream_of_http2_is_reset(sites, gate, worker):
    """Its call ends, and the connection goes on."""
    site, one = sites(worker), gate("one")
    with H2Client(site.port) as client:
        client.ask(1, f"/hold?gate={one.path}")
        one.wait("begun")
        client.reset(1)
        one.wait("interrupted")
        client.ask(3, "/remaining")
        seen = b""
        while not seen:
            seen = b"".join(getattr(event, "data", b"") for event in client.hear())
    assert float(seen) > 0
