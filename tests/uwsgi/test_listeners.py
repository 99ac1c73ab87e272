"""Which addresses speak the uWSGI protocol, and to whom."""

from __future__ import annotations

import runpy
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from hostler_testkit.client import until

WORKERS = ("sync", "asgi")
packet = runpy.run_path(
    str(Path(__file__).resolve().parents[2] / "packages" / "uwsgi-proto" / "tests" / "packets.py")
)["packet"]
HELLO = packet(PATH_INFO=b"/", REQUEST_URI=b"/")


def ask(sock: socket.socket, octets: bytes) -> bytes:
    """Everything that comes back."""
    received = b""
    with sock:
        sock.settimeout(60)
        sock.sendall(octets)
        while block := sock.recv(65536):
            received += block
    return received


def unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return sock


def test_http_and_uwsgi_at_once(server: Any) -> None:
    """One server, four addresses; neither protocol is taken for the other."""
    made = server.make()
    over_unix, over_http = f"{made.directory}/uwsgi.sock", f"{made.directory}/http.sock"
    binds = ["uwsgi://127.0.0.1:0", "http://127.0.0.1:0", f"uwsgi+unix:{over_unix}", f"unix:{over_http}"]
    made.write_configuration(bind=binds)
    running = made.start()
    uwsgi, http = running.addresses()[:2]
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for sock, octets in (
        (socket.create_connection(uwsgi, 60), HELLO),
        (unix(over_unix), HELLO),
        (socket.create_connection(http, 60), request),
        (unix(over_http), request),
    ):
        answer = ask(sock, octets)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\nhello")
    assert ask(socket.create_connection(uwsgi, 60), request) == b""
    assert ask(socket.create_connection(http, 60), HELLO + b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_as_gunicorn_has_it(server: Any) -> None:
    """`protocol` for every address without a scheme of its own."""
    running = server(protocol="uwsgi")
    assert ask(socket.create_connection(running.addresses()[0], 60), HELLO).endswith(b"hello")


@pytest.mark.parametrize("hostler_worker", ["sync"], indirect=True)
@pytest.mark.parametrize(
    ("allowed", "heard"),
    [("127.0.0.1,::1", True), ("127.0.0.0/8", True), ("*", True), ("10.0.0.0/8", False)],
)
def test_who_is_heard(server: Any, allowed: str, heard: bool) -> None:
    """`uwsgi_allow_ips` takes what gunicorn's takes, and networks; others are closed without a word but the log's.

    Who may open a Unix socket may always speak there.
    """
    made = server.make(uwsgi_allow_ips=allowed)
    path = f"{made.directory}/s"
    made.write_configuration(bind=["uwsgi://127.0.0.1:0", f"uwsgi+unix:{path}"])
    running = made.start()
    try:
        answer = ask(socket.create_connection(running.addresses()[0], 60), HELLO)
    except ConnectionError:  # it was closed with the packet unread
        answer = b""
    assert answer.endswith(b"hello") is heard
    assert ask(unix(path), HELLO).endswith(b"hello")
    if not heard:
        assert answer == b""
        until(lambda: "uwsgi_forbidden" in running.log(), f"the line; log:\n{running.log()}")


def test_expectations_and_hints(server: Any) -> None:
    """`Expect: 100-continue` is the web server's affair, and early hints do nothing: one head is all it gets."""
    running = server(bind="uwsgi://127.0.0.1:0")
    address = running.addresses()[0]
    laden = packet(
        PATH_INFO=b"/echo", REQUEST_URI=b"/echo", REQUEST_METHOD=b"POST", CONTENT_LENGTH=b"5",
        HTTP_EXPECT=b"100-continue",
    )  # fmt: skip
    answer = ask(socket.create_connection(address, 60), laden + b"hello")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nhello")
    hints = ask(socket.create_connection(address, 60), packet(PATH_INFO=b"/hints", REQUEST_URI=b"/hints"))
    assert hints.startswith(b"HTTP/1.1 200 ")
    assert hints.count(b"HTTP/1.1") == 1


def test_limits_and_deadlines(server: Any) -> None:
    """Fields, bodies and patience have the same bounds as over HTTP."""
    running = server(
        bind="uwsgi://127.0.0.1:0", limit_request_body=1000, limit_request_field_size=500,
        header_timeout=1, body_timeout=1,
    )  # fmt: skip
    address = running.addresses()[0]
    for octets, status in (
        (packet(REQUEST_METHOD=b"POST", CONTENT_LENGTH=b"1001"), 413),
        (packet(HTTP_X=b"x" * 600), 431),
        (packet(REQUEST_METHOD=b"POST", CONTENT_LENGTH=b"x"), 400),
        (packet(REQUEST_METHOD=b"POST", PATH_INFO=b"/echo", CONTENT_LENGTH=b"5") + b"hel", 408),
    ):
        assert ask(socket.create_connection(address, 60), octets).startswith(b"HTTP/1.1 %d " % status)
    assert ask(socket.create_connection(address, 60), HELLO[:50]) == b""
    until(lambda: "the packet was not complete in time" in running.log(), f"log:\n{running.log()}")


def test_peers_that_do_not_speak_at_once(server: Any) -> None:
    """The system keeps a connection until its peer speaks: none of what a peer may do instead is lost or noticed."""
    running = server(bind="uwsgi://127.0.0.1:0", header_timeout=5)
    address = running.addresses()[0]
    for _ in range(20):  # as a load balancer looks whether somebody is there
        socket.create_connection(address, 60).close()
    late = [socket.create_connection(address, 60) for _ in range(20)]
    slow = socket.create_connection(address, 60)
    slow.sendall(HELLO[:1])
    assert ask(socket.create_connection(address, 60), HELLO).endswith(b"\r\n\r\nhello")
    assert ask(slow, HELLO[1:]).endswith(b"\r\n\r\nhello")
    time.sleep(2)  # longer than the system keeps a silent one
    for peer in late:
        assert ask(peer, HELLO).endswith(b"\r\n\r\nhello")
    with socket.create_connection(address, 60) as silent:
        assert silent.recv(1) == b""
    assert "Traceback" not in running.log()


def test_what_was_sent_before_a_stop_is_answered(server: Any) -> None:
    """A stop takes what the system has kept and whose request is there."""
    running = server(bind="uwsgi://127.0.0.1:0")
    address = running.addresses()[0]
    assert ask(socket.create_connection(address, 60), HELLO).endswith(b"hello")  # it is up
    peers = [socket.create_connection(address, 60) for _ in range(20)]
    for peer in peers:
        peer.sendall(HELLO)
    running.stop()
    for peer in peers:
        assert ask(peer, b"").endswith(b"\r\n\r\nhello")
