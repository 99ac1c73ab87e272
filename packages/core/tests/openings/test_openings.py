"""Which connection a socket gets, fed with bytes."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hostler._listeners import OpenListener, open_listeners
from hostler._openings import Openings, limits, policy
from hostler._protocols import alpn
from hostler._values import ProtocolType, WorkerType
from hostler.errors import ConfigError
from hostler.http import Gone, Opening, Request, Switch, Transport, Waiting
from hostler.http1 import protocol as http1
from hostler.settings import Settings

PEER = ("192.0.2.7", 5)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Recorder:
    """A protocol that keeps what it was given."""

    waiting = Waiting.FIRST

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.seen: list[bytes] = []

    def receive(self, data: bytes) -> list[Any]:
        self.seen.append(data)
        return []

    def expire(self) -> list[Any]:
        self.seen.append(b"<expired>")
        return []


def open_recorder(opening: Opening) -> Recorder:
    return Recorder(opening)


HERE = f"{__name__}:open_recorder"


@dataclasses.dataclass(frozen=True)
class H2Settings:
    prior_knowledge: bool = True


h2 = ProtocolType(
    "http2",
    open=HERE,
    ids=("h2",),
    alpn=("h2",),
    preface=PREFACE,
    cleartext="prior_knowledge",
    settings=H2Settings,
    multiplexing=True,
)
gateway = ProtocolType("uwsgi", open=HERE, schemes=("uwsgi",))
many = WorkerType("many", serve="x:y", multiplexes=True, tunnels=True)
one = WorkerType("one", serve="x:y")


@dataclasses.dataclass
class Configuration:
    settings: Settings
    worker: WorkerType = many
    protocols: tuple[ProtocolType, ...] = (http1, h2, gateway)
    own: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"http2": H2Settings()})
    origins: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class House:
    """One listener and its openings."""

    def __init__(self, configuration: Configuration) -> None:
        self.listeners = open_listeners(configuration, attempts=1)  # type: ignore[arg-type]
        self.openings = Openings(configuration, configuration.worker, self.listeners)  # type: ignore[arg-type]
        try:
            self.openings.import_protocols()
        except ConfigError:
            self.close()
            raise

    def close(self) -> None:
        for listener in self.listeners:
            listener.close(unlink=True)

    @property
    def listener(self) -> OpenListener:
        return self.listeners[0]

    def connect(self, **more: Any) -> Any:
        transport = Transport(**{"peer": PEER, "local": ("127.0.0.1", 1), **more})
        return self.openings.connect(self.listener, transport)


@pytest.fixture
def house() -> Iterator[Any]:
    made: list[House] = []

    def make(worker: WorkerType = many, own: Any = None, **more: Any) -> House:
        keywords = {"own": own} if own is not None else {}
        found = House(Configuration(Settings(**{"bind": ("127.0.0.1:0",), **more}), worker, **keywords))
        made.append(found)
        return found

    yield make
    for each in made:
        each.close()


def test_plain_http(house: Any) -> None:
    connection = house().connect()
    (request,) = connection.receive(GET)
    assert isinstance(request, Request)


def test_alpn_decides(house: Any) -> None:
    found = house(http_protocols=("h2", "h1"))
    assert isinstance(found.connect(secure=True, protocol="h2"), Recorder)
    (request,) = found.connect(secure=True, protocol="http/1.1").receive(GET)
    assert isinstance(request, Request)
    # Nothing negotiated: HTTP/1.1, and no guessing from bytes below TLS.
    (request,) = found.connect(secure=True).receive(GET)
    assert isinstance(request, Request)


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_preface_decides_on_plain_connections(house: Any, step: int) -> None:
    found = house(http_protocols=("h1", "h2"))
    sent = PREFACE + b"frames"
    connection = found.connect()
    events: list[Any] = []
    position = 0
    while not events:
        events = list(connection.receive(sent[position : position + step]))
        position += step
    (switch,) = events
    assert isinstance(switch, Switch)
    assert isinstance(switch.connection, Recorder)
    assert b"".join(switch.connection.seen) == sent[:position]
    assert switch.connection.opening.settings == H2Settings()


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_what_is_no_preface_is_http1(house: Any, step: int) -> None:
    found = house(http_protocols=("h1", "h2"))
    connection = found.connect()
    events: list[Any] = []
    for position in range(0, len(GET), step):
        got = list(connection.receive(GET[position : position + step]))
        for event in got:
            if isinstance(event, Switch):
                connection = event.connection
                events += event.events
            else:
                events.append(event)
    assert [type(event) for event in events] == [Request]


def test_part_of_a_preface_is_http1s_to_answer(house: Any) -> None:
    connection = house(http_protocols=("h1", "h2")).connect()
    assert connection.waiting is Waiting.FIRST
    assert list(connection.receive(b"PR")) == []
    assert connection.waiting is Waiting.HEAD
    (switch,) = connection.expire()
    assert b" 408 " in b"".join(switch.connection.outgoing())


def test_silence_is_closed_without_a_word(house: Any) -> None:
    connection = house(http_protocols=("h1", "h2")).connect()
    (gone,) = connection.expire()
    assert isinstance(gone, Gone)
    assert gone.kind == "idle_new"
    assert connection.closing
    assert connection.abrupt
    assert connection.outgoing() == []


def test_prior_knowledge_can_be_off(house: Any) -> None:
    found = house(http_protocols=("h1", "h2"), own={"http2": H2Settings(prior_knowledge=False)})
    events = list(found.connect().receive(PREFACE))
    assert not any(isinstance(event, Switch) for event in events)


def test_a_worker_without_multiplexing_serves_http1(house: Any) -> None:
    found = house(worker=one, http_protocols=("h2", "h1"))
    assert alpn(found.listener.bind, found.openings._configuration) == ("http/1.1",)
    assert isinstance(next(iter(found.connect().receive(GET))), Request)
    with pytest.raises(ConfigError, match="cannot serve"):
        house(worker=one, http_protocols=("h2",))


def test_a_scheme_of_its_own(house: Any) -> None:
    found = house(bind=("uwsgi://127.0.0.1:0",))
    connection = found.connect()
    assert isinstance(connection, Recorder)
    assert connection.opening.tunnels


def test_a_scheme_that_nobody_speaks(house: Any) -> None:
    with pytest.raises(ConfigError, match="fastcgi"):
        house(bind=("fastcgi://127.0.0.1:0",))


def test_connections_of_one_listener_share_and_differ(house: Any) -> None:
    found = house(bind=("uwsgi://127.0.0.1:0",), keepalive_requests=1000)
    connections = [found.connect() for _ in range(50)]
    assert len({id(each.opening.shared) for each in connections}) == 1
    assert len({id(each.opening.policy) for each in connections}) == 1
    numbers = {each.opening.max_requests for each in connections}
    assert len(numbers) > 1
    assert all(900 < number <= 1000 for number in numbers)


def test_keepalive_settings(house: Any) -> None:
    found = house(bind=("uwsgi://127.0.0.1:0",), keepalive_requests=0, keepalive=0.0)
    assert found.connect().opening.max_requests == 0
    assert not found.connect().opening.keepalive


def test_limits_and_policy_come_from_the_settings(house: Any) -> None:
    settings = Settings(
        bind=("127.0.0.1:0",),
        limit_request_line=0,
        limit_request_head=5000,
        limit_request_field_size=0,
        limit_request_body=7,
        server_header=False,
        secure_scheme_headers={"X-FORWARDED-PROTO": "https"},
        forwarder_headers=("REMOTE_USER",),
    )
    found = limits(settings)
    assert (found.request_line, found.field, found.head, found.body) == (5000, 5000, 5000, 7)
    (listener,) = house(forwarded_allow_ips=("10.0.0.1",)).listeners
    rules = policy(listener.bind, settings)
    assert rules.forwarded_allow == ("10.0.0.1",)
    assert rules.server_header == b""
    assert rules.secure_scheme_headers == {b"x-forwarded-proto": b"https"}
    assert rules.forwarder_headers == {b"remote_user"}


# -- PROXY ---------------------------------------------------------------------------------------------

LINE = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n"


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_the_proxied_client_is_the_peer(house: Any, step: int) -> None:
    found = house(bind=("uwsgi://127.0.0.1:0",), proxy_protocol="auto", proxy_allow_ips=("192.0.2.0/24",))
    connection = found.connect()
    sent = LINE + b"rest"
    events: list[Any] = []
    position = 0
    while not events:
        events = list(connection.receive(sent[position : position + step]))
        position += step
    (switch,) = events
    assert switch.connection.opening.transport.peer == ("203.0.113.9", 4711)
    assert b"".join(switch.connection.seen) == sent[len(LINE) : position]


def test_a_proxied_client_is_not_trusted_for_its_socket(house: Any, tmp_path: Any) -> None:
    found = house(bind=(f"uwsgi+unix:{tmp_path}/s",), proxy_protocol="v1", proxy_allow_ips=("unix",))
    connection = found.connect(unix=True, peer=("", 0))
    (switch,) = connection.receive(LINE)
    transport = switch.connection.opening.transport
    assert (transport.peer, transport.unix) == (("203.0.113.9", 4711), False)


def test_peers_that_must_send_it(house: Any) -> None:
    found = house(proxy_protocol="v1", proxy_allow_ips=("192.0.2.0/24",))
    connection = found.connect()
    (gone,) = connection.receive(GET)
    assert (gone.kind, connection.closing, connection.outgoing()) == ("proxy_bad", True, [])


def test_peers_that_must_not_send_it(house: Any) -> None:
    found = house(proxy_protocol="v1", proxy_allow_ips=("10.0.0.0/8",))
    connection = found.connect()
    connection.receive(LINE + GET)
    assert b" 400 " in b"".join(connection.outgoing())


def test_proxy_comes_before_the_preface(house: Any) -> None:
    found = house(http_protocols=("h1", "h2"), proxy_protocol="v1", proxy_allow_ips=("*",))
    (switch,) = found.connect().receive(LINE + PREFACE)
    (inner,) = switch.events
    assert isinstance(inner, Switch)
    assert inner.connection.opening.transport.peer == ("203.0.113.9", 4711)


def test_the_look_before_tls(house: Any) -> None:
    found = house(proxy_protocol="v1", proxy_allow_ips=("127.0.0.0/8",))
    assert house().openings.proxied is not None
    assert found.openings.proxied(found.listener, ("10.1.1.1", 3)) is None
    reader = found.openings.proxied(found.listener, ("127.0.0.1", 3))
    assert reader.look(LINE[:10]) == (False, None, 0)
    assert reader.look(LINE + b"\x16\x03") == (True, ("203.0.113.9", 4711), len(LINE))
    with pytest.raises(ValueError, match="PROXY"):
        reader.look(b"\x16\x03\x01")


def test_without_proxy_nobody_is_looked_at(house: Any) -> None:
    found = house()
    assert found.openings.proxied(found.listener, ("127.0.0.1", 3)) is None


def test_real_accept_addresses(house: Any) -> None:
    found = house(bind=("[::1]:0",), proxy_protocol="v1", proxy_allow_ips=("::1",))
    with socket.create_connection(found.listener.address, timeout=20):
        found.listener.socket.setblocking(True)
        sock, address = found.listener.socket.accept()
        sock.close()
    assert found.openings.proxied(found.listener, address) is not None
