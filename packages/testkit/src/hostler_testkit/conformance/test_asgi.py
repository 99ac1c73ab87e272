"""ASGI HTTP and lifespan, the basic rules, asked of a live server."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from hostler_testkit.client import message, until
from hostler_testkit.server import Server

INTERFACE = "asgi"


def scope(site: Server, target: str = "/scope", **more: Any) -> dict[str, Any]:
    """What the application was called with."""
    answer = site.request(target=target, **more)
    assert answer.status == 200
    shown: dict[str, Any] = json.loads(answer.body)
    return shown


def test_scope(site: Server) -> None:
    """Keys and their types."""
    shown = scope(site, "/scope?a=%20b", headers=[("X-Mixed", "Value"), ("X-Mixed", "2")])
    assert shown["type"] == "http"
    assert shown["asgi"]["version"] == "3.0"
    assert shown["asgi"]["spec_version"].startswith("2.")
    assert (shown["http_version"], shown["method"], shown["scheme"]) == ("1.1", "GET", "http")
    assert (shown["path"], shown["raw_path"], shown["query_string"]) == ("/scope", "/scope", "a=%20b")
    assert shown["root_path"] == ""
    assert ["host", "testkit.example"] in shown["headers"]
    assert [pair for pair in shown["headers"] if pair[0] == "x-mixed"] == [
        ["x-mixed", "Value"],
        ["x-mixed", "2"],
    ]
    assert shown["client"][0] == "127.0.0.1"
    assert isinstance(shown["client"][1], int)
    assert shown["server"] == ["127.0.0.1", site.address[1]]


def test_scope_is_fresh(site: Server) -> None:
    """Two requests of one connection get two scopes that are equal."""
    with site.connect() as peer:
        first, second = (json.loads(peer.request(target="/scope").body) for _ in range(2))
    assert first == second


def test_path_is_decoded(site: Server) -> None:
    """Percent and UTF-8 decoded; `raw_path` is as received, without the query."""
    shown = scope(site, "/sc%6Fpe?x=%6F")
    assert (shown["path"], shown["raw_path"], shown["query_string"]) == ("/scope", "/sc%6Fpe", "x=%6F")


def test_hop_by_hop_from_the_application(site: Server) -> None:
    """Its Transfer-Encoding is not the server's framing."""
    with site.connect() as peer:
        peer.send(message(target="/field?name=transfer-encoding&value=gzip"))
        received = peer.answer()
    assert b"gzip" not in b",".join(received.all("transfer-encoding"))


def test_endless_answer_ends_with_its_client(site: Server) -> None:
    """`send` raises or the task is cancelled: the application is not kept alive."""
    before = len(site.left("endless-closed") or "")
    with site.connect() as peer:
        peer.send(message(target="/endless"))
        assert peer.receive()
    until(lambda: len(site.left("endless-closed") or "") > before, "the end of the application")


def test_cut_body_is_a_disconnect(site: Server) -> None:
    """Never `more_body: False`."""
    with site.connect() as peer:
        peer.send(message("POST", "/echo", [("Transfer-Encoding", "chunked")]) + b"5\r\nshort\r\n")
        peer.half_close()
        assert b" 200 " not in peer.rest()
    assert site.request().status == 200


def test_lifespan(server: Any) -> None:
    """Startup before the first request, shutdown at the end, in the worker."""
    running = server()
    pid = running.worker_pid()
    assert running.left(f"startup.{pid}")
    assert running.left(f"shutdown.{pid}") is None
    assert running.stop(signal.SIGTERM) == 0
    assert running.left(f"shutdown.{pid}")


@pytest.mark.parametrize("count", [50])
def test_requests_run_at_the_same_time(site: Server, count: int) -> None:
    """As many as there are connections: all have entered before one passes."""
    peers = [site.connect() for _ in range(count)]
    try:
        for number, peer in enumerate(peers):
            peer.send(message(target=f"/gate?name=many{number}"))
        for number in range(count):
            site.await_left(f"entered.many{number}")
        for number in range(count):
            site.open_gate(f"many{number}")
        assert all(peer.answer().body == b"through" for peer in peers)
    finally:
        for peer in peers:
            peer.close()
