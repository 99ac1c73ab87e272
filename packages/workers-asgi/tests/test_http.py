"""HTTP requests: what an application receives, what it may send, and what of that reaches the client."""

from __future__ import annotations

import json

import pytest


def asgi(handler):
    """An application of HTTP only: lifespan is not supported."""

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await handler(scope, receive, send)

    return app


async def answer(send, body=b"ok", status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_the_scope_of_a_request(serve_app, raw):
    scopes = []

    @asgi
    async def app(scope, receive, send):
        scopes.append(scope)
        await answer(send)

    context = serve_app(app)
    client = raw(context).say(
        b"GET /caf%C3%A9/%2Fx?a=%20b HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nx-two: 2\r\nX-One: 3\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert client.rest().startswith(b"HTTP/1.1 200 ")
    scope = scopes[0]
    assert type(scope) is dict
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert (scope["http_version"], scope["method"], scope["scheme"]) == ("1.1", "GET", "http")
    assert scope["path"] == "/café//x"
    assert scope["raw_path"] == b"/caf%C3%A9/%2Fx"
    assert scope["query_string"] == b"a=%20b"
    assert scope["root_path"] == ""
    assert [list(field) for field in scope["headers"]] == [
        [b"host", b"a.example"],
        [b"x-one", b"1"],
        [b"x-two", b"2"],
        [b"x-one", b"3"],
        [b"connection", b"close"],
    ]
    assert tuple(scope["client"]) == client.socket.getsockname()
    assert tuple(scope["server"]) == context.address
    assert scope["state"] == {}
    assert set(scope["extensions"]) == {
        "http.response.pathsend",
        "http.response.zerocopysend",
        "http.response.early_hint",
        "http.response.trailers",
    }


def test_nothing_that_an_application_writes_into_a_scope_reaches_another(serve_app, raw):
    seen = []

    @asgi
    async def app(scope, receive, send):
        seen.append(
            json.dumps([scope["asgi"], sorted(scope["extensions"]), len(scope["headers"]), scope["state"]])
        )
        scope["asgi"]["spec_version"] = "0"
        scope["extensions"].clear()
        scope["headers"].append((b"x", b"y"))
        scope["state"]["x"] = 1
        scope["path"] = "/elsewhere"
        await answer(send, scope["path"].encode())

    client = raw(serve_app(app))
    for _ in range(3):
        client.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").hear(b"/elsewhere")
    assert len(set(seen)) == 1


@pytest.mark.parametrize(
    ("root", "target", "path"),
    [
        ("/api", "/x", "/api/x"),
        ("/api", "/api/x", "/api/x"),
        ("/api", "/apix", "/api/apix"),
        ("/api", "/api", "/api"),
        ("", "/x", "/x"),
    ],
)
def test_the_path_includes_the_root_path(serve_app, raw, root, target, path):
    @asgi
    async def app(scope, receive, send):
        await answer(send, f"{scope['root_path']} {scope['path']}".encode())

    context = serve_app(app, core={"root_path": root})
    client = raw(context).say(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert client.rest().endswith(f"\r\n\r\n{root} {path}".encode())


def test_a_body_comes_in_pieces_and_then_disconnect_for_ever(serve_app, raw):
    messages = []

    @asgi
    async def app(scope, receive, send):
        while True:
            messages.append(await receive())
            if not messages[-1]["more_body"]:
                break
        await answer(send)
        for _ in range(3):
            messages.append(await receive())

    client = raw(serve_app(app))
    client.say(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    client.say(b"2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n").hear(b"ok")
    body = [message for message in messages if message["type"] == "http.request"]
    assert b"".join(message["body"] for message in body) == b"abcde"
    assert [message["more_body"] for message in body] == [True] * (len(body) - 1) + [False]
    client.say(GET).hear(b"ok")
    assert messages[len(body) : len(body) + 3] == [{"type": "http.disconnect"}] * 3


def test_a_request_without_body_is_one_empty_event(serve_app, raw):
    messages = []

    @asgi
    async def app(scope, receive, send):
        messages.append(await receive())
        await answer(send)

    raw(serve_app(app)).say(GET).rest()
    assert messages == [{"type": "http.request", "body": b"", "more_body": False}]


def test_expect_continue_is_answered_when_the_body_is_asked_for(serve_app, raw):
    @asgi
    async def app(scope, receive, send):
        if scope["path"] == "/read":
            message = await receive()
            await answer(send, message["body"])
        else:
            await answer(send, b"no, thanks", 413)

    context = serve_app(app)
    head = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    client = raw(context).say(head % b"/read")
    assert client.hear(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    assert client.say(b"abc").hear(b"abc").startswith(b"HTTP/1.1 200 ")
    assert raw(context).say(head % b"/refuse").rest().startswith(b"HTTP/1.1 413 ")


def test_a_truncated_body_is_a_disconnect(serve_app, raw, eventually):
    messages = []

    @asgi
    async def app(scope, receive, send):
        while not messages or messages[-1]["type"] != "http.disconnect":
            messages.append(await receive())

    client = raw(serve_app(app)).say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    eventually(lambda: messages)
    client.close()
    eventually(lambda: messages[-1]["type"] == "http.disconnect")
    assert all(message["more_body"] for message in messages[:-1])


@pytest.mark.parametrize("length", [None, 5])
def test_one_body_event_has_a_length(serve_app, raw, length):
    @asgi
    async def app(scope, receive, send):
        await answer(send, b"hello", headers=[(b"content-length", b"5")] if length else [])

    head, _, body = raw(serve_app(app)).say(GET).rest().partition(b"\r\n\r\n")
    assert head.lower().count(b"content-length: 5") == 1
    assert body == b"hello"


def test_a_stream_is_chunked_and_transfer_encoding_of_the_application_is_ignored(serve_app, raw):
    @asgi
    async def app(scope, receive, send):
        headers = [[b"Transfer-Encoding", b"chunked"], [b"x", b"y"]]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await send({"type": "http.response.body"})

    head, _, body = raw(serve_app(app)).say(GET).rest().partition(b"\r\n\r\n")
    assert head.lower().count(b"transfer-encoding: chunked") == 1
    assert body == b"2\r\nab\r\n" * 3 + b"0\r\n\r\n"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_no_body_where_none_belongs(serve_app, raw, method, status):
    @asgi
    async def app(scope, receive, send):
        await answer(send, b"unwanted", status)

    request = f"{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    head, _, body = raw(serve_app(app)).say(request).rest().partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert body == b""


def test_a_body_longer_than_its_length_is_cut_and_logged(serve_app, raw):
    @asgi
    async def app(scope, receive, send):
        await answer(send, b"hello, world", headers=[(b"content-length", b"5")])

    context = serve_app(app)
    client = raw(context)
    for _ in range(2):
        client.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").hear(b"\r\n\r\n")
        assert client.octets(5) == b"hello"
    assert any("longer than its Content-Length" in line for line in context.log.errors)


def test_a_body_shorter_than_its_length_closes(serve_app, raw):
    @asgi
    async def app(scope, receive, send):
        await answer(send, b"he", headers=[(b"content-length", b"5")])

    client = raw(serve_app(app)).say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\nhe")


START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"ok"}


@pytest.mark.parametrize(
    "messages",
    [
        [BODY],
        [START, START],
        [START, BODY, BODY],
        [START, BODY, START],
        [{"type": "http.response.stop"}],
        [{"status": 200}],
        [{"type": "http.response.start", "headers": []}],
        [{"type": "http.response.start", "status": "200"}],
        [{"type": "http.response.start", "status": 101}],
        [START, {"type": "http.response.body", "body": "text"}],
        [START, {"type": "http.response.trailers"}],
        [START, {"type": "http.response.pathsend", "path": "relative"}],
        [{**START, "headers": [(b"x", b"a\r\nb: c")]}, BODY],
        [{**START, "headers": [(b"x y", b"a")]}, BODY],
        [{**START, "headers": [("x", "y")]}, BODY],
        [{**START, "headers": [(b"connection", b"x-thing")]}, BODY],
    ],
    ids=str,
)
def test_what_may_not_be_sent_raises_into_the_application(serve_app, raw, messages):
    raised = []

    @asgi
    async def app(scope, receive, send):
        if scope["path"] == "/next":
            await answer(send, b"next")
            return
        for message in messages[:-1]:
            await send(message)
        try:
            await send(messages[-1])
        except Exception as error:
            raised.append(error)
            raise

    context = serve_app(app)
    client = raw(context).say(GET)
    answered = client.rest()
    assert len(raised) == 1
    assert not isinstance(raised[0], OSError)
    if BODY not in messages[:-1]:
        assert answered.startswith(b"HTTP/1.1 500 ")
        assert b"b: c" not in answered
    else:
        assert answered.startswith(b"HTTP/1.1 200 ")
        assert answered.count(b"HTTP/1.1") == 1
    assert context.log.errors
    assert raw(context).say(GET.replace(b"/ ", b"/next ")).rest().endswith(b"next")


def test_extra_keys_are_ignored(serve_app, raw):
    @asgi
    async def app(scope, receive, send):
        await send({**START, "colour": "red"})
        await send({**BODY, "colour": "red"})

    assert raw(serve_app(app)).say(GET).rest().endswith(b"ok")


@pytest.mark.parametrize("when", ["before", "after start", "after body", "after end"])
@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_an_application_that_raises(serve_app, raw, when, error):
    @asgi
    async def app(scope, receive, send):
        if scope["path"] == "/fine":
            await answer(send)
            return
        if when != "before":
            await send(START)
        if when == "after body":
            await send({**BODY, "more_body": True})
        if when == "after end":
            await send(BODY)
        raise error("secret")

    context = serve_app(app)
    answered = raw(context).say(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").rest()
    assert b"secret" not in answered
    if when in ("before", "after start"):
        assert answered.startswith(b"HTTP/1.1 500 ")
    elif when == "after body":
        assert answered.endswith(b"2\r\nok\r\n")
    else:
        assert answered.endswith(b"ok")
    assert any("error while GET / was handled" in line for line in context.log.errors)
    assert raw(context).say(GET.replace(b"/ ", b"/fine ")).rest().endswith(b"ok")


@pytest.mark.parametrize("when", ["before", "after start", "after body"])
def test_an_application_that_returns_too_early(serve_app, raw, when):
    @asgi
    async def app(scope, receive, send):
        if when != "before":
            await send(START)
        if when == "after body":
            await send({**BODY, "more_body": True})

    context = serve_app(app)
    answered = (
        raw(context).say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + b"" if when == "after body" else GET).rest()
    )
    if when == "after body":
        assert answered.endswith(b"2\r\nok\r\n")
    else:
        assert answered.startswith(b"HTTP/1.1 500 ")
    assert any("returned before its response was complete" in line for line in context.log.errors)


def test_pipelined_requests_are_answered_in_order(serve_app, raw):
    @asgi
    async def app(scope, receive, send):
        await answer(send, b"<%b>" % scope["path"].encode())

    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(200))
    answered = raw(serve_app(app)).say(requests + GET).rest()
    found = [part.partition(b">")[0] for part in answered.split(b"<")[1:]]
    assert found == [b"/%d" % number for number in range(200)] + [b"/"]


def test_the_task_is_the_current_one(serve_app, raw):
    import asyncio

    tasks = []

    @asgi
    async def app(scope, receive, send):
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())
        async with asyncio.timeout(60) if hasattr(asyncio, "timeout") else asyncio.Lock():
            await receive()
        await answer(send)

    raw(serve_app(app)).say(GET).rest()
    assert tasks[0] is not None
    assert tasks[0] is tasks[1]


def test_a_line_for_each_request_is_logged(serve_app, raw, eventually):
    @asgi
    async def app(scope, receive, send):
        await answer(send, b"hello")

    context = serve_app(app)
    raw(context).say(GET).rest()
    eventually(lambda: context.log.lines)
    method, status, sent, seconds = context.log.lines[0]
    assert (method, status, sent) == ("GET", 200, 5)
    assert seconds >= 0
