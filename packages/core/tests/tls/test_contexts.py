"""TLS contexts: real handshakes, and every certificate that must not be served."""

from __future__ import annotations

import dataclasses
import datetime
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hostler import _certificate
from hostler._listeners import OpenListener, open_listeners
from hostler._openings import Openings
from hostler._values import ProtocolType, WorkerType
from hostler.errors import ConfigError
from hostler.http1 import protocol as http1
from hostler.settings import Settings
from hypothesis import given, settings
from hypothesis import strategies as st

many = WorkerType("many", serve="x:y", multiplexes=True)
h2 = ProtocolType("http2", open="hostler.http1:protocol", ids=("h2",), alpn=("h2",), multiplexing=True)


@dataclasses.dataclass
class Configuration:
    settings: Settings
    worker: WorkerType = many
    protocols: tuple[ProtocolType, ...] = (http1, h2)
    own: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    origins: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Server:
    """One TLS listener that shakes hands and answers with what it saw."""

    def __init__(self, **more: Any) -> None:
        self.configuration = Configuration(Settings(**{"bind": ("127.0.0.1:0",), **more}))
        self.listener: OpenListener = open_listeners(self.configuration, attempts=1)[0]  # type: ignore[arg-type]
        self.openings = self.worker()

    def worker(self) -> Openings:
        found = Openings(self.configuration, many, [self.listener])  # type: ignore[arg-type]
        try:
            found.import_protocols()
        except BaseException:
            self.listener.close()
            raise
        return found

    def shake(
        self, client: ssl.SSLContext, openings: Openings | None = None, session: ssl.SSLSession | None = None
    ) -> tuple[ssl.SSLSocket, str]:
        """A whole handshake: the client's socket, closed, and what the server chose by ALPN."""
        context = (openings or self.openings).tls(self.listener)
        assert context is not None
        chosen: list[Any] = []

        def serve() -> None:
            self.listener.socket.setblocking(True)
            sock, _ = self.listener.socket.accept()
            sock.settimeout(20)
            try:
                with context.wrap_socket(sock, server_side=True) as secure:
                    secure.sendall(b"hello")
                    chosen.append(secure.selected_alpn_protocol() or "")
                    secure.recv(1)
            except OSError as error:
                chosen.append(error)
                sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            plain = socket.create_connection(self.listener.address, timeout=20)
            try:
                secure = client.wrap_socket(plain, server_hostname="localhost", session=session)
            except BaseException:
                plain.close()
                raise
            with secure:
                assert secure.recv(5) == b"hello"
                secure.sendall(b"x")
                self.session, self.reused = secure.session, secure.session_reused
                return secure, chosen[0] if chosen else self._joined(thread, chosen)
        finally:
            thread.join(30)
            if chosen and isinstance(chosen[0], BaseException):
                self.error = chosen[0]

    @staticmethod
    def _joined(thread: threading.Thread, chosen: list[Any]) -> str:
        thread.join(30)
        return str(chosen[0])


@pytest.fixture
def serve() -> Iterator[Any]:
    made: list[Server] = []

    def make(**more: Any) -> Server:
        made.append(Server(**more))
        return made[-1]

    yield make
    for server in made:
        server.listener.close(unlink=True)


def trusting(pem: Any, *alpn: str, **more: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pem.cert)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    for name, value in more.items():
        setattr(context, name, value)
    return context


def test_a_handshake(serve: Any, pem: Any) -> None:
    server = serve(certfile=pem.cert, keyfile=pem.key)
    assert server.listener.name.startswith("https://")
    assert server.listener.secure
    assert server.shake(trusting(pem)) is not None


def test_key_and_certificate_in_one_file(serve: Any, pem: Any) -> None:
    assert serve(certfile=pem.both).shake(trusting(pem)) is not None


@pytest.mark.parametrize(
    ("offered", "wanted", "chosen"),
    [
        (("h1",), ("h2", "http/1.1"), "http/1.1"),
        (("h2", "h1"), ("http/1.1", "h2"), "h2"),
        (("h1", "h2"), ("http/1.1", "h2"), "http/1.1"),
        (("h2", "h1"), (), ""),
    ],
)
def test_alpn_in_the_order_of_the_server(
    serve: Any, pem: Any, offered: Any, wanted: Any, chosen: str
) -> None:
    server = serve(certfile=pem.cert, keyfile=pem.key, http_protocols=offered)
    assert server.shake(trusting(pem, *wanted))[1] == chosen


def test_old_tls_is_refused(serve: Any, pem: Any) -> None:
    server = serve(certfile=pem.cert, keyfile=pem.key)
    found = server.openings.tls(server.listener)
    assert found.minimum_version == ssl.TLSVersion.TLSv1_2
    assert found.options & ssl.OP_NO_COMPRESSION


def test_ciphers(serve: Any, pem: Any) -> None:
    server = serve(certfile=pem.cert, keyfile=pem.key, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    client = trusting(pem, maximum_version=ssl.TLSVersion.TLSv1_2)
    server.shake(client)
    context = server.openings.tls(server.listener)
    names = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"}
    assert names == {"ECDHE-ECDSA-AES128-GCM-SHA256"}


# -- sessions ------------------------------------------------------------------------------------------


def test_a_session_is_resumed_with_any_worker(serve: Any, pem: Any) -> None:
    server = serve(certfile=pem.cert, keyfile=pem.key)
    another = server.worker()
    client = trusting(pem)
    server.shake(client)
    assert not server.reused
    server.shake(client, another, server.session)
    assert server.reused


# -- client certificates -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_required_client_certificates(serve: Any, pem: Any, version: ssl.TLSVersion) -> None:
    server = serve(certfile=pem.cert, keyfile=pem.key, ca_certs=pem.client, cert_reqs=2)
    client = trusting(pem, maximum_version=version)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.shake(client)
    client.load_cert_chain(pem.client, pem.client_key)
    assert server.shake(client) is not None


def test_optional_client_certificates(serve: Any, pem: Any) -> None:
    server = serve(certfile=pem.cert, keyfile=pem.key, ca_certs=pem.client, cert_reqs=1)
    assert server.shake(trusting(pem)) is not None


# -- what must not be served ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"certfile": "cert", "keyfile": "other_key"}, "is not the key of"),
        ({"certfile": "cert"}, "the key in"),
        ({"certfile": "expired", "keyfile": "key"}, "expired on 2021-01-01"),
        ({"certfile": "future", "keyfile": "key"}, "not valid before 2100-01-01"),
        ({"certfile": "junk", "keyfile": "key"}, "no PEM certificate"),
        ({"certfile": "key", "keyfile": "key"}, "no PEM certificate"),
        ({"certfile": "missing", "keyfile": "key"}, "cannot be read"),
        ({"certfile": "cert", "keyfile": "missing"}, "cannot be read"),
        ({"certfile": "cert", "keyfile": "encrypted_key"}, "encrypted"),
        ({"certfile": "cert", "keyfile": "key", "ca_certs": "junk"}, "ca_certs"),
        ({"certfile": "cert", "keyfile": "key", "ca_certs": "missing"}, "ca_certs"),
    ],
)
def test_fails_at_boot_in_one_line(serve: Any, pem: Any, files: dict[str, str], words: str) -> None:
    before = _descriptors()
    with pytest.raises(ConfigError, match=words) as caught:
        serve(**{name: getattr(pem, value) for name, value in files.items()})
    assert "\n" not in str(caught.value)
    assert _descriptors() == before


def test_bad_rules(serve: Any, pem: Any) -> None:
    with pytest.raises(ConfigError, match="no cipher"):
        serve(certfile=pem.cert, keyfile=pem.key, ciphers="NONSENSE")
    with pytest.raises(ConfigError, match="need ca_certs"):
        serve(certfile=pem.cert, keyfile=pem.key, cert_reqs=2)


def _descriptors() -> int:
    return len(os.listdir("/dev/fd"))


# -- the hook ------------------------------------------------------------------------------------------


def test_the_hook_is_called_once_per_worker_with_the_default(serve: Any, pem: Any) -> None:
    calls: list[Any] = []

    def hook(config: Any, default: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = default()
        calls.append((config.certfile, context))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    server = serve(certfile=pem.cert, keyfile=pem.key, ssl_context=hook)
    for _ in range(3):
        server.shake(trusting(pem))
    assert len(calls) == 1
    assert calls[0] == (pem.cert, server.openings.tls(server.listener))
    server.worker()
    assert len(calls) == 2


def test_the_hook_makes_a_context_of_its_own(serve: Any, pem: Any) -> None:
    def hook(config: Any, default: Any) -> ssl.SSLContext:
        del config, default
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem.both)
        return context

    server = serve(bind=("https://127.0.0.1:0",), ssl_context=hook)
    assert server.shake(trusting(pem, "http/1.1"))[1] == "http/1.1"


def test_a_hook_that_returns_nothing_fails_closed(serve: Any, pem: Any) -> None:
    with pytest.raises(ConfigError, match="SSLContext"):
        serve(certfile=pem.cert, keyfile=pem.key, ssl_context=lambda config, default: None)


# -- certificates as bytes -----------------------------------------------------------------------------


def test_dates_of_a_certificate(pem: Any) -> None:
    with open(pem.cert, "rb") as file:
        der = _certificate.first_in(file.read())
    assert der is not None
    assert _certificate.validity(der) == (
        datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
        datetime.datetime(2120, 1, 1, tzinfo=datetime.timezone.utc),
    )


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_dates_or_an_error(data: bytes) -> None:
    try:
        _certificate.validity(data)
    except ValueError:
        return


def test_a_cut_certificate_is_an_error(pem: Any) -> None:
    with open(pem.cert, "rb") as file:
        der = _certificate.first_in(file.read())
    assert der is not None
    for length in range(len(der)):
        with pytest.raises(ValueError, match=r"certificate|format|match"):
            _certificate.validity(der[:length])
