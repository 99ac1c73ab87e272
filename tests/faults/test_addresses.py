"""Addresses, through the command line: stale and live Unix sockets, certificates under load, PROXY, many at once."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from hostler_testkit.certificate import make_certificate
from hostler_testkit.client import until

WORKERS = ("sync",)


def test_a_second_instance_leaves_a_live_socket_alone(server: Any, hostler_directory: Path) -> None:
    """F-16."""
    path = str(hostler_directory / "live")
    first = server(bind=f"unix:{path}")
    second = server(wait=False, bind=f"unix:{path}")
    assert second.wait() == 1
    assert "the socket is in use" in second.log()
    with first.connect(path) as peer:
        assert peer.request().status == 200
    assert first.stop() == 0
    assert not os.path.exists(path)


def test_a_socket_left_by_a_killed_server_is_replaced(server: Any, hostler_directory: Path) -> None:
    """F-16."""
    path = str(hostler_directory / "stale")
    first = server(bind=f"unix:{path}")
    first.kill()
    assert os.path.exists(path)
    second = server(bind=f"unix:{path}")
    with second.connect(path) as peer:
        assert peer.request().status == 200


def test_what_is_no_socket_is_left_alone(server: Any, hostler_directory: Path) -> None:
    """F-16."""
    path = hostler_directory / "file"
    path.write_text("precious")
    assert server(wait=False, bind=f"unix:{path}").wait() == 1
    assert path.read_text() == "precious"


def test_a_port_in_use_is_one_line(server: Any) -> None:
    first = server()
    second = server(wait=False, bind=f"127.0.0.1:{first.address[1]}")
    assert second.wait() == 1
    assert second.log().splitlines()[-1].endswith("is another server running there?")
    assert "Traceback" not in second.log()
    assert first.request().status == 200


def test_a_descriptor_that_is_no_socket_is_one_line(server: Any) -> None:
    """F-35."""
    failed = server(wait=False, bind="fd://0")
    assert failed.wait() == 1
    assert "Traceback" not in failed.log()
    assert "descriptor 0" in failed.log()


def test_http_https_unix_and_proxied_at_once(server: Any, certificate: Any, hostler_directory: Path) -> None:
    path = str(hostler_directory / "many")
    found = server(
        bind=(),
        listen=[
            {"bind": "127.0.0.1:0"},
            {"bind": "https://127.0.0.1:0", "certfile": certificate.cert, "keyfile": certificate.key},
            {"bind": f"unix:{path}"},
            {"bind": "127.0.0.1:0", "proxy_protocol": "v1"},
            {
                "bind": "https://127.0.0.1:0",
                "certfile": certificate.cert,
                "keyfile": certificate.key,
                "proxy_protocol": "auto",
            },
        ],
    )
    plain, secure, proxied, both = found.addresses()
    line = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n"
    with found.connect(plain) as peer:
        assert peer.request().status == 200
    with found.connect(secure, certificate.client()) as peer:
        assert peer.request().status == 200
    with found.connect(path) as peer:
        assert peer.request().status == 200
    with found.connect(proxied) as peer:
        peer.send(line)
        assert peer.request().status == 200
    # A peer that must name its client and does not gets no answer.
    with found.connect(proxied) as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert peer.rest() == b""
    sock = socket.create_connection(both, 30)
    sock.sendall(line)
    with certificate.client().wrap_socket(sock, server_hostname="localhost") as wrapped:
        wrapped.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert wrapped.recv(12) == b"HTTP/1.1 200"


def serial(address: Any, trusted: Any) -> str:
    context = ssl.create_default_context(cafile=trusted)
    with (
        socket.create_connection(address, 30) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as secure,
    ):
        secure.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert secure.recv(12) == b"HTTP/1.1 200"
        return str((secure.getpeercert() or {})["serialNumber"])


def test_certificates_are_exchanged_under_load(server: Any, tmp_path: Path) -> None:
    """A good one is taken by a reload; a bad one leaves the old one, and never plain text."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = make_certificate(tmp_path / "one"), make_certificate(tmp_path / "two")
    trusted = tmp_path / "both.pem"
    trusted.write_text(Path(one.cert).read_text() + Path(two.cert).read_text())
    live, key = tmp_path / "live.crt", tmp_path / "live.key"

    def install(certificate: Any, key_of: Any) -> None:
        shutil.copy(certificate.cert, live)
        shutil.copy(key_of.key, key)

    install(one, one)
    found = server(bind="127.0.0.1:0", certfile=str(live), keyfile=str(key), workers=2)
    failed: list[BaseException] = []
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            try:
                serial(found.address, trusted)
            except BaseException as error:
                failed.append(error)

    client = threading.Thread(target=load)
    client.start()
    try:
        first = serial(found.address, trusted)
        install(two, two)
        before = set(found.children())
        found.send_signal(signal.SIGHUP)
        until(lambda: "reloaded: generation 2 serves" in found.log(), "the second generation")
        until(lambda: not before & set(found.children()), "the end of the first generation")
        second = serial(found.address, trusted)
        assert second != first
        install(one, two)
        found.send_signal(signal.SIGHUP)
        until(lambda: "is not the key of" in found.log(), "the refusal")
        assert serial(found.address, trusted) == second
        with found.connect() as peer:
            peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert not peer.rest().startswith(b"HTTP")
    finally:
        ended.set()
        client.join(60)
    assert not failed


@pytest.mark.parametrize("files", [("cert", "other"), ("missing", "key")])
def test_a_bad_certificate_ends_the_start(server: Any, tmp_path: Path, files: tuple[str, str]) -> None:
    (tmp_path / "other").mkdir()
    good, other = make_certificate(tmp_path), make_certificate(tmp_path / "other")
    paths = {"cert": good.cert, "key": good.key, "other": other.key, "missing": str(tmp_path / "none")}
    failed = server(wait=False, certfile=paths[files[0]], keyfile=paths[files[1]])
    assert failed.wait() == 1
    assert "Traceback" not in failed.log()
    assert "file" in failed.log()
