"""ASGI's extensions: files, early hints, trailers."""

from __future__ import annotations

import os

import pytest
from hostler.plugin import Head, Transport
from hostler_asgi._scope import Scopes

START = {"type": "http.response.start", "status": 200, "headers": []}
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def http(handler):
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await handler(scope, receive, send)

    return app


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(os.urandom(300_000))
    return path


@pytest.mark.parametrize("sendfile", [True, False])
@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_pathsend(serve_app, raw, file, sendfile, with_length, method):
    content = file.read_bytes()

    @http
    async def app(scope, receive, send):
        headers = [(b"content-length", b"%d" % len(content))] if with_length else []
        await send({**START, "headers": headers})
        await send({"type": "http.response.pathsend", "path": str(file)})

    context = serve_app(app, core={"sendfile": sendfile})
    client = raw(context)
    for _ in range(2):
        client.say(GET.replace(b"GET", method.encode()).replace(b"close", b"keep-alive"))
        head = client.hear(b"\r\n\r\n").lower()
        assert b"content-length: 300000" in head
        if method == "GET":
            assert client.octets(len(content)) == content
    assert context.log.errors == []


def test_pathsend_to_a_slow_reader(serve_app, raw, tmp_path):
    path = tmp_path / "big"
    content = os.urandom(1 << 20) * 32
    path.write_bytes(content)

    @http
    async def app(scope, receive, send):
        if scope["path"] == "/other":
            await send(START)
            await send({"type": "http.response.body", "body": b"other"})
            return
        await send(START)
        await send({"type": "http.response.pathsend", "path": str(path)})

    context = serve_app(app)
    client = raw(context).say(GET)
    client.hear(b"\r\n\r\n")
    raw(context).say(GET.replace(b"/ ", b"/other ")).hear(b"other")
    assert client.rest() == content


def test_a_client_that_leaves_during_a_file(serve_app, raw, tmp_path, eventually):
    path = tmp_path / "big"
    path.write_bytes(bytes(64 << 20))
    raised = []

    @http
    async def app(scope, receive, send):
        await send(START)
        try:
            await send({"type": "http.response.pathsend", "path": str(path)})
        except OSError as error:
            raised.append(error)
            raise

    context = serve_app(app)
    client = raw(context).say(GET)
    client.hear(b"\r\n\r\n")
    client.reset()
    eventually(lambda: raised)
    eventually(lambda: context.status.connections == 0)
    assert context.log.errors == []


@pytest.mark.parametrize("path", ["missing", "."])
def test_pathsend_of_what_is_no_file_is_a_500(serve_app, raw, tmp_path, path):
    @http
    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.pathsend", "path": str(tmp_path / path)})

    assert raw(serve_app(app)).say(GET).rest().startswith(b"HTTP/1.1 500 ")


def test_zerocopysend_mixes_with_bodies(serve_app, raw, file):
    content = file.read_bytes()
    closed = []

    @http
    async def app(scope, receive, send):
        with file.open("rb") as opened:
            descriptor = opened.fileno()
            copy = {"type": "http.response.zerocopysend", "file": descriptor, "more_body": True}
            await send(START)
            await send({"type": "http.response.body", "body": b"<", "more_body": True})
            await send({**copy, "offset": 100, "count": 50})
            await send({**copy, "count": 10})
            await send({**copy, "count": 10})
            await send({"type": "http.response.body", "body": b"|", "more_body": True})
            await send({**copy, "offset": 299_990})
            await send({"type": "http.response.body", "body": b">"})
            os.fstat(descriptor)
            closed.append(False)

    client = raw(serve_app(app)).say(GET.replace(b"1.1", b"1.0"))
    client.hear(b"\r\n\r\n")
    assert client.rest() == b"<" + content[100:150] + content[:20] + b"|" + content[299_990:] + b">"
    assert closed == [False]


def test_zerocopysend_alone_has_a_length(serve_app, raw, file):
    @http
    async def app(scope, receive, send):
        with file.open("rb") as opened:
            await send(START)
            await send({"type": "http.response.zerocopysend", "file": opened.fileno(), "offset": 5})

    client = raw(serve_app(app)).say(GET)
    assert b"content-length: 299995" in client.hear(b"\r\n\r\n").lower()
    assert client.rest() == file.read_bytes()[5:]


@pytest.mark.parametrize(
    "messages",
    [
        [
            {"type": "http.response.body", "body": b"x", "more_body": True},
            {"type": "http.response.pathsend", "path": "/x"},
        ],
        [
            {"type": "http.response.zerocopysend", "file": 0, "count": 0, "more_body": True},
            {"type": "http.response.pathsend", "path": "/x"},
        ],
    ],
    ids=["after body", "after copy"],
)
def test_pathsend_is_not_mixed(serve_app, raw, file, messages):
    raised = []

    @http
    async def app(scope, receive, send):
        await send(START)
        await send({**messages[0], **({"file": os.open(file, os.O_RDONLY)} if "file" in messages[0] else {})})
        try:
            await send(messages[1])
        except ValueError as error:
            raised.append(error)
        await send({"type": "http.response.body"})

    raw(serve_app(app)).say(GET).rest()
    assert raised


@pytest.mark.parametrize("place", ["before start", "after start"])
@pytest.mark.parametrize(
    "message",
    [
        {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]},
        {
            "type": "http.response.informational",
            "status": 103,
            "headers": [(b"link", b"</a.css>; rel=preload")],
        },
    ],
    ids=["early_hint", "informational"],
)
def test_early_hints_go_out_before_the_answer(serve_app, raw, eventually, place, message):
    import asyncio

    going = []

    @http
    async def app(scope, receive, send):
        assert "http.response.early_hint" in scope["extensions"]
        if place == "after start":
            await send(START)
        await send(message)
        while not going:
            await asyncio.sleep(0.01)
        if place == "before start":
            await send(START)
        await send({"type": "http.response.body", "body": b"ok"})

    client = raw(serve_app(app)).say(GET)
    head = client.hear(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 103 ")
    assert b"link: </a.css>; rel=preload\r\n" in head
    going.append(True)
    assert client.rest().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "message",
    [
        {"type": "http.response.informational", "status": 200},
        {"type": "http.response.informational", "status": 101},
        {"type": "http.response.early_hint", "links": [b"a\r\nb: c"]},
        {"type": "http.response.early_hint", "links": ["text"]},
    ],
    ids=str,
)
def test_hints_that_cannot_be_sent_raise(serve_app, raw, message):
    @http
    async def app(scope, receive, send):
        await send(message)

    answered = raw(serve_app(app)).say(GET).rest()
    assert answered.startswith(b"HTTP/1.1 500 ")
    assert b"b: c" not in answered


def test_a_hint_after_the_head_raises(serve_app, raw):
    raised = []

    @http
    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        try:
            await send({"type": "http.response.early_hint", "links": []})
        except ValueError as error:
            raised.append(error)
        await send({"type": "http.response.body"})

    raw(serve_app(app)).say(GET).rest()
    assert raised


def test_http_1_0_gets_no_hint_and_no_offer_of_one(serve_app, raw):
    offered = []

    @http
    async def app(scope, receive, send):
        offered.append(set(scope["extensions"]))
        await send({"type": "http.response.early_hint", "links": [b"x"]})
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})

    answered = raw(serve_app(app)).say(b"GET / HTTP/1.0\r\n\r\n").rest()
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert offered == [{"http.response.pathsend", "http.response.zerocopysend"}]


@pytest.mark.parametrize(("version", "told"), [("1.1", None), ("2", {"weight": 16, "depends_on": 0})])
def test_the_priority_of_gunicorn_is_that_of_http_2(version, told):
    scopes = Scopes(Transport(("127.0.0.1", 1), ("127.0.0.1", 2)), ("127.0.0.1", 2), {}, "", None)
    head = Head(method="GET", target=b"/", path=b"/", query=b"", http_version=version, headers=())
    assert scopes.http(head)["extensions"].get("http.response.priority") == told


@pytest.mark.parametrize("welcome", [True, False])
def test_trailers(serve_app, raw, welcome):
    @http
    async def app(scope, receive, send):
        await send({**START, "trailers": True})
        await send({"type": "http.response.body", "body": b"ok"})
        await send({"type": "http.response.trailers", "headers": [(b"x-one", b"1")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [[b"x-two", b"2"]]})

    request = GET.replace(b"Host: a", b"Host: a\r\nTE: trailers") if welcome else GET
    answered = raw(serve_app(app)).say(request).rest()
    if welcome:
        assert answered.endswith(b"2\r\nok\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n")
    else:
        assert answered.endswith(b"2\r\nok\r\n0\r\n\r\n")


def test_an_answer_waits_for_its_trailers(serve_app, raw):
    @http
    async def app(scope, receive, send):
        await send({**START, "trailers": True})
        await send({"type": "http.response.body", "body": b"ok"})

    context = serve_app(app)
    answered = raw(context).say(GET).rest()
    assert answered.endswith(b"2\r\nok\r\n")
    assert any("before its response was complete" in line for line in context.log.errors)
