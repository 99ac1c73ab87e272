"""nginx speaks the uWSGI protocol to every worker: what browsers and uploads see through it."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.needs("nginx")

WORKERS = ("sync", "gthread", "gevent", "asgi")


def test_requests_and_answers(front: Any) -> None:
    """Small ones, uploads with a length and in chunks, HEAD, streams, over TCP and over a Unix socket."""
    for prefix in ("", "/over-unix", "/unbuffered"):
        answer = front.request(target=prefix + "/")
        assert (answer.status, answer.body) == (200, b"hello")
        assert front.request("POST", prefix + "/echo", body=b"x" * 1000).body == b"x" * 1000
        assert front.request("POST", prefix + "/echo", body=b"").body == b""
        head = front.request("HEAD", prefix + "/")
        assert (head.status, head.get("content-length"), head.body) == (200, b"5", b"")
        streamed = front.request(target=prefix + "/stream?count=50&size=1000")
        assert len(streamed.body) == 50000
        assert len(front.request(target=prefix + "/big?size=3000000").body) == 3000000
    with front.connect() as peer:
        peer.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
            b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        )
        assert peer.answer().body == b"hello world"
    assert front.request(target="/hints").status == 200
    assert front.request(target="/fail").status == 500


def test_a_large_upload(front: Any) -> None:
    """64 MiB, buffered by nginx and not."""
    body = bytes(range(256)) * (64 * 4096)
    for prefix in ("", "/unbuffered"):
        assert front.request("POST", prefix + "/echo", body=body).body == body


def test_what_the_application_sees(front: Any, worker_value: Any) -> None:
    """The client is nginx's client; what the operator added is there; what could harm is not."""
    target = "/environ" if worker_value.interface == "wsgi" else "/scope"
    answer = front.request(
        target=target + "?a=b%20c", headers=[("X-Forwarded-For", "6.6.6.6"), ("Proxy", "x")]
    )
    seen = json.loads(answer.body)
    if worker_value.interface == "asgi":
        assert seen["client"] == ["192.0.2.7", 4711]
        assert seen["scheme"] == "http"
        assert seen["http_version"] == "1.1"
        variables = seen["extensions"]["hostler.gateway"]["variables"]
        assert (variables["MY_OWN"], variables["REMOTE_USER"], variables["SERVER_NAME"]) == (
            *("added", "me", "front.example"),
        )
        assert not {"UWSGI_FILE", "HTTP_PROXY"} & set(variables)
        return
    wanted = {
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "4711",
        "REMOTE_USER": "me",
        "SERVER_NAME": "front.example",
        "SERVER_PORT": "8080",
        "REQUEST_SCHEME": "http",
        "MY_OWN": "added",
        "PATH_INFO": "/environ",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "a=b%20c",
        "HTTP_X_FORWARDED_FOR": "6.6.6.6",
        "wsgi.url_scheme": "http",
    }
    assert {name: seen.get(name) for name in wanted} == wanted
    assert not {"HTTP_PROXY", "UWSGI_FILE", "HTTP_CONTENT_LENGTH"} & set(seen)


def test_clients_that_leave(front: Any) -> None:
    """Mid-upload and mid-download: the server goes on, and its answer's `close` is called."""
    for _ in range(5):
        with front.connect() as peer:
            peer.send(b"POST /unbuffered/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello")
    with front.connect() as peer:
        peer.send(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert peer.sock.recv(1000).startswith(b"HTTP/1.1 200 ")
    front.server.await_left("endless-closed")
    assert front.request(target="/").body == b"hello"
    assert front.request("POST", "/echo", body=b"again").body == b"again"
    assert "Traceback" not in front.server.log()


def test_slow_clients(front: Any) -> None:
    """One that does not read its answer and one that does not go on with its body keep nobody waiting."""
    size = 30_000_000  # more than the buffers between the server and a client that does not read
    with front.connect() as reader, front.connect() as writer:
        reader.send(b"GET /big?size=%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
        begun = reader.sock.recv(1000)
        assert begun.startswith(b"HTTP/1.1 200 ")
        writer.send(b"POST /unbuffered/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        for _ in range(3):
            assert front.request().body == b"hello"
        writer.send(b"again")
        assert writer.answer().body == b"helloagain"
        reader.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        octets = len(begun)
        while block := reader.sock.recv(1 << 20):
            octets += len(block)
    assert octets > size
