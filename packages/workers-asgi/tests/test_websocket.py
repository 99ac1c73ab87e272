"""WebSockets: what an application receives and sends, and how connections of the real client library fare."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import struct

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_client

connect = functools.partial(connect_client, open_timeout=60, close_timeout=60)

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
OPENING = (
    b"GET /chat?x=1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
)


def websocket(handler):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"plain"})
            return
        assert scope["type"] == "websocket"
        await handler(scope, receive, send)

    return app


def echo(seen=None, **accept):
    seen = [] if seen is None else seen

    @websocket
    async def app(scope, receive, send):
        seen.append(scope)
        seen.append(await receive())
        await send({"type": "websocket.accept", **accept})
        while True:
            message = await receive()
            seen.append(message)
            if message["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "text": message["text"], "bytes": message["bytes"]})

    return app


def url(context, path="/"):
    return "ws://{}:{}{}".format(*context.address[:2], path)


def frame(first, payload, *, mask=b"\x01\x02\x03\x04", length=None):
    if length is None:
        length = (
            bytes([128 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
        )
    return bytes([first]) + length + mask + bytes(o ^ mask[i % 4] for i, o in enumerate(payload))


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
def test_frames_and_the_end_before_the_opening_is_accepted(serve_app, raw, eventually, turns):
    seen = []

    @websocket
    async def app(scope, receive, send):
        await receive()
        for _ in range(turns):
            await asyncio.sleep(0)
        await send({"type": "websocket.accept"})
        while not seen or seen[-1]["type"] != "websocket.disconnect":
            seen.append(await receive())

    client = raw(serve_app(app))
    client.say(OPENING + frame(0x81, b"a") + frame(0x81, b"b"))
    client.socket.shutdown(socket.SHUT_WR)
    assert client.rest().startswith(b"HTTP/1.1 101 ")
    eventually(lambda: seen and seen[-1]["type"] == "websocket.disconnect")
    assert [message.get("text") for message in seen] == ["a", "b", None]


def test_the_scope_and_the_first_event(serve_app):
    seen = []
    context = serve_app(echo(seen))
    asked = {"subprotocols": ["one", "two"], "additional_headers": {"X-A": "b"}}
    with connect(url(context, "/caf%C3%A9?q=1"), **asked) as client:
        client.send("x")
        assert client.recv() == "x"
    scope = seen[0]
    assert (scope["type"], scope["scheme"], scope["http_version"]) == ("websocket", "ws", "1.1")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/café", b"/caf%C3%A9", b"q=1")
    assert scope["subprotocols"] == ["one", "two"]
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert [b"x-a", b"b"] in [list(field) for field in scope["headers"]]
    assert "method" not in scope
    assert set(scope["extensions"]) == {"websocket.http.response"}
    assert seen[1] == {"type": "websocket.connect"}
    assert seen[2] == {"type": "websocket.receive", "text": "x", "bytes": None}


def test_the_answer_names_the_subprotocol_and_carries_fields(serve_app):
    context = serve_app(echo(subprotocol="two", headers=[(b"x-hello", b"there"), (b"set-cookie", b"a=b")]))
    with connect(url(context), subprotocols=["one", "two"]) as client:
        assert client.subprotocol == "two"
        assert client.response.headers["x-hello"] == "there"
        assert client.response.headers["set-cookie"] == "a=b"


def test_the_key_is_answered_as_the_rfc_says(serve_app, raw):
    head = raw(serve_app(echo())).say(OPENING).hear(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head.lower()
    assert b"upgrade: websocket" in head.lower()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 1 << 20])
def test_messages_of_every_size_come_whole(serve_app, size):
    with connect(url(serve_app(echo())), max_size=None) as client:
        client.send("é" * size)
        assert client.recv() == "é" * size
        octets = os.urandom(size)
        client.send(octets)
        assert client.recv() == octets


def test_fragments_are_one_message_with_control_frames_between(serve_app, raw):
    seen = []
    client = raw(serve_app(echo(seen))).say(OPENING)
    client.hear(b"\r\n\r\n")
    client.say(
        frame(0x01, "h\u00e9".encode()[:2]) + frame(0x89, b"ping") + frame(0x00, "h\u00e9".encode()[2:])
    )
    client.say(frame(0x80, b"llo"))
    assert client.octets(6) == b"\x8a\x04ping"
    assert client.octets(8) == b"\x81\x06h\xc3\xa9llo"


def test_octet_by_octet(serve_app, raw):
    client = raw(serve_app(echo())).say(OPENING)
    client.hear(b"\r\n\r\n")
    for octet in frame(0x81, b"one") + frame(0x82, b"x" * 300) + frame(0x89, b"p"):
        client.say(bytes([octet]))
    heard = client.octets(5 + 304 + 3)
    pong = b"\x8a\x01p"  # it overtakes messages that wait for the application
    assert heard.replace(pong, b"") == b"\x81\x03one" + b"\x82\x7e\x01\x2c" + b"x" * 300
    assert pong in heard


def test_frames_sent_before_the_accept_are_kept(serve_app, raw):
    @websocket
    async def app(scope, receive, send):
        await receive()
        for _ in range(5):
            await asyncio.sleep(0)
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"] + "!"})
        await receive()

    client = raw(serve_app(app)).say(OPENING + frame(0x81, b"early"))
    client.hear(b"\r\n\r\n")
    assert client.octets(8) == b"\x81\x06early!"


def test_an_application_that_waits_before_its_accept_hears_of_a_client_that_closed(
    serve_app, raw, eventually
):
    heard = []

    @websocket
    async def app(scope, receive, send):
        for _ in range(3):
            heard.append(await receive())

    context = serve_app(app)
    raw(context).say(OPENING).close()
    gone = {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    eventually(lambda: heard == [{"type": "websocket.connect"}, gone, gone])
    eventually(lambda: not context.status.connections and not context.status.active)
    assert context.log.errors == []


def test_an_accept_may_come_before_the_connect_is_received(serve_app):
    """A framework that sends in one task and receives in another need not wait: the first event stays the first."""

    @websocket
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        first = await receive()
        await send({"type": "websocket.send", "text": first["type"]})
        second = await receive()
        await send({"type": "websocket.send", "text": second["text"]})

    with connect(url(serve_app(app))) as client:
        assert client.recv(timeout=60) == "websocket.connect"
        client.send("after")
        assert client.recv(timeout=60) == "after"


def test_nothing_is_answered_before_the_accept(serve_app, raw, eventually):
    going = []

    @websocket
    async def app(scope, receive, send):
        await receive()
        going.append(1)
        while len(going) < 2:
            await asyncio.sleep(0.01)
        await send({"type": "websocket.accept"})
        await receive()

    client = raw(serve_app(app)).say(OPENING)
    eventually(lambda: going)
    client.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.socket.recv(1)
    client.socket.settimeout(60)
    going.append(2)
    assert client.hear(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


# -- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Version: 13", b"Version: 12", b"426"),
        (b"Sec-WebSocket-Version: 13\r\n", b"", b"426"),
        (b"Key: " + KEY, b"Key: short", b"400"),
        (b"Sec-WebSocket-Key: " + KEY + b"\r\n", b"", b"400"),
        (b"GET", b"POST", b"400"),
    ],
)
def test_a_handshake_that_is_none_is_refused_without_the_application(serve_app, raw, old, new, status):
    seen = []
    client = raw(serve_app(echo(seen))).say(OPENING.replace(old, new))
    head = client.hear(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status) or (old == b"GET" and b" 200 " in head)
    assert (b"sec-websocket-version: 13" in head.lower()) == (status == b"426")
    assert [item for item in seen if item.get("type") == "websocket"] == []


async def close_first(scope, receive, send):
    await receive()
    await send({"type": "websocket.close", "code": 1000})
    assert (await receive())["type"] == "websocket.disconnect"


async def return_first(scope, receive, send):
    await receive()


async def raise_first(scope, receive, send):
    raise ValueError("secret")


@pytest.mark.parametrize(("handler", "status"), [(close_first, 403), (return_first, 403), (raise_first, 500)])
def test_an_application_that_does_not_accept_refuses(serve_app, handler, status):
    context = serve_app(websocket(handler))
    with pytest.raises(InvalidStatus) as refused, connect(url(context)):
        pass
    assert refused.value.response.status_code == status
    assert bool(context.log.errors) == (status == 500)


def test_a_denial_is_a_whole_http_response(serve_app, raw):
    @websocket
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-a", b"b")]})
        await send({"type": "websocket.http.response.body", "body": b"tea", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"pot"})
        assert (await receive())["type"] == "websocket.disconnect"

    context = serve_app(app)
    with pytest.raises(InvalidStatus) as refused, connect(url(context)):
        pass
    response = refused.value.response
    assert (response.status_code, response.headers["x-a"], response.body) == (418, "b", b"teapot")
    assert context.log.errors == []


def test_requests_go_on_after_a_refusal(serve_app, raw):
    client = raw(serve_app(websocket(close_first))).say(OPENING)
    assert client.hear(b"Forbidden\n").startswith(b"HTTP/1.1 403 ")
    assert client.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").hear(b"plain").startswith(b"HTTP/1.1 200 ")


# -- closing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "code", "reason", "echoed"),
    [
        (frame(0x88, b"\x03\xe8bye"), 1000, "bye", b"\x88\x05\x03\xe8bye"),
        (frame(0x88, b"\x0f\xa0"), 4000, "", b"\x88\x02\x0f\xa0"),
        (frame(0x88, b""), 1005, "", b"\x88\x00"),
        (frame(0x01, b"half") + frame(0x88, b"\x03\xe8") + frame(0x80, b"x"), 1000, "", b"\x88\x02\x03\xe8"),
    ],
)
def test_the_close_of_the_client(serve_app, raw, eventually, said, code, reason, echoed):
    seen = []
    client = raw(serve_app(echo(seen))).say(OPENING)
    client.hear(b"\r\n\r\n")
    assert client.say(said).rest() == echoed
    eventually(lambda: len(seen) == 3)
    assert seen[-1] == {"type": "websocket.disconnect", "code": code, "reason": reason}


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_just_goes_is_1006(serve_app, raw, eventually, how):
    seen = []
    context = serve_app(echo(seen))
    client = raw(context).say(OPENING)
    client.hear(b"\r\n\r\n")
    getattr(client, how)()
    eventually(lambda: len(seen) == 3)
    assert seen[-1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    eventually(lambda: context.status.connections == 0)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x81\x05hello", 1002),
        (frame(0xC1, b"x"), 1002),
        (frame(0x83, b"x"), 1002),
        (frame(0x80, b"x"), 1002),
        (frame(0x01, b"x") + frame(0x81, b"x"), 1002),
        (frame(0x09, b"x"), 1002),
        (frame(0x89, b"x" * 126), 1002),
        (frame(0x81, b"x", length=b"\xfe\x00\x01"), 1002),
        (frame(0x81, b"x", length=b"\xff" + bytes(7) + b"\x01"), 1002),
        (frame(0x82, b"", length=b"\xff\x80" + bytes(7)), 1002),
        (frame(0x88, b"\x03"), 1002),
        (frame(0x88, b"\x03\xed"), 1002),
        (frame(0x81, b"\xff"), 1007),
        (frame(0x01, b"\xc3") + frame(0x80, b"\x28"), 1007),
        (frame(0x01, b"\xff"), 1007),
        (frame(0x88, b"\x03\xe8\xff"), 1007),
        (frame(0x82, b"", length=b"\xfe" + struct.pack("!H", 1001)), 1009),
        (frame(0x02, b"x" * 600) + frame(0x80, b"x" * 600), 1009),
        (frame(0x02, b"") + frame(0x00, b"") * 8, 1008),
    ],
)
def test_what_breaks_the_protocol_closes_with_its_code(serve_app, raw, eventually, said, code):
    seen = []
    context = serve_app(echo(seen), own={"websocket_max_message_size": 1000, "websocket_max_fragments": 8})
    client = raw(context).say(OPENING)
    client.hear(b"\r\n\r\n")
    heard = client.say(said).rest()
    assert heard[:1] == b"\x88"
    assert struct.unpack("!H", heard[2:4]) == (code,)
    eventually(lambda: len(seen) == 3)
    assert (seen[-1]["type"], seen[-1]["code"]) == ("websocket.disconnect", code)
    assert context.log.errors == []


def test_an_application_that_returns_closes_with_1000(serve_app):
    @websocket
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})

    with connect(url(serve_app(app))) as client, pytest.raises(ConnectionClosed) as closed:
        client.recv()
    assert closed.value.rcvd.code == 1000


def test_an_application_that_raises_closes_with_1011(serve_app):
    @websocket
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        raise ValueError("secret")

    context = serve_app(app)
    with connect(url(context)) as client, pytest.raises(ConnectionClosed) as closed:
        client.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "")
    assert any("error in the WebSocket /" in line for line in context.log.errors)


def test_the_close_of_the_application_waits_for_the_clients(serve_app, raw, eventually):
    seen = []

    @websocket
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
        seen.append(await receive())
        seen.append(await receive())
        try:
            await send({"type": "websocket.send", "text": "late"})
        except OSError as error:
            seen.append(type(error))

    context = serve_app(app)
    client = raw(context).say(OPENING)
    client.hear(b"\r\n\r\n")
    assert client.octets(10) == b"\x88\x08\x0f\xa1enough"
    eventually(lambda: len(seen) == 3)
    assert seen[:2] == [{"type": "websocket.disconnect", "code": 4001, "reason": "enough"}] * 2
    client.say(frame(0x81, b"still talking") + frame(0x88, b"\x0f\xa1"))
    assert client.rest() == b""


def test_a_client_that_never_answers_a_close_is_left(serve_app, raw):
    @websocket
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})

    client = raw(serve_app(app, own={"websocket_close_timeout": 0.2})).say(OPENING)
    client.hear(b"\r\n\r\n")
    assert client.rest() == b"\x88\x02\x03\xe8"


def test_a_graceful_stop_closes_with_1012(serve_app, eventually):
    seen = []
    context = serve_app(echo(seen))
    with connect(url(context)) as client:
        client.send("x")
        client.recv()
        context.stop()
        with pytest.raises(ConnectionClosed) as closed:
            client.recv()
    assert closed.value.rcvd.code == 1012
    assert seen[-1] == {"type": "websocket.disconnect", "code": 1012, "reason": ""}
    assert context.error is None
    assert context.log.errors == []


# -- what may be sent ----------------------------------------------------------------------------------

ACCEPT = {"type": "websocket.accept"}
TEXT = {"type": "websocket.send", "text": "x"}


@pytest.mark.parametrize(
    "messages",
    [
        [TEXT],
        [ACCEPT, ACCEPT],
        [ACCEPT, {"type": "websocket.send"}],
        [ACCEPT, {"type": "websocket.send", "text": None, "bytes": None}],
        [ACCEPT, {"type": "websocket.send", "text": "x", "bytes": b"x"}],
        [ACCEPT, {"type": "websocket.send", "text": b"x"}],
        [ACCEPT, {"type": "websocket.send", "bytes": "x"}],
        [ACCEPT, {"type": "websocket.close", "code": 1005}],
        [ACCEPT, {"type": "websocket.close", "reason": b"x"}],
        [ACCEPT, {"type": "websocket.http.response.start", "status": 200}],
        [ACCEPT, {"type": "http.response.start", "status": 200}],
        [{**ACCEPT, "subprotocol": "not-offered"}],
        [{**ACCEPT, "headers": [(b"Sec-WebSocket-Protocol", b"x")]}],
        [{**ACCEPT, "headers": [(b"x", b"a\r\nb: c")]}],
        [{"type": "websocket.http.response.body", "body": b"x"}],
    ],
    ids=str,
)
def test_what_may_not_be_sent_raises_into_the_application(serve_app, raw, eventually, messages):
    raised = []

    @websocket
    async def app(scope, receive, send):
        await receive()
        for message in messages[:-1]:
            await send(message)
        try:
            await send(messages[-1])
        except Exception as error:
            raised.append(error)
            raise

    context = serve_app(app)
    client = raw(context).say(OPENING)
    head = client.hear(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 " if len(messages) > 1 else b"HTTP/1.1 500 ")
    assert b"b: c" not in head
    if len(messages) > 1:
        assert client.octets(4) == b"\x88\x02\x03\xf3"
    eventually(lambda: raised)
    assert not isinstance(raised[0], OSError)
    eventually(lambda: context.log.errors)


def test_a_key_that_is_none_is_no_key(serve_app):
    @websocket
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None})
        await send({"type": "websocket.send", "text": None, "bytes": b"octets"})
        await send({"type": "websocket.send", "text": "text", "bytes": None})
        await send({"type": "websocket.close", "reason": None})

    with connect(url(serve_app(app))) as client:
        assert client.recv() == b"octets"
        assert client.recv() == "text"


def test_sending_to_a_client_that_left_raises_an_oserror_that_nobody_logs(serve_app, raw, eventually):
    raised = []

    @websocket
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "bytes": b"x" * 1000})
                await asyncio.sleep(0.01)
        except OSError as error:
            raised.append(error)
            raise

    context = serve_app(app)
    client = raw(context).say(OPENING)
    client.hear(b"xxx")
    client.reset()
    eventually(lambda: raised)
    context.stop()
    assert context.log.errors == []


# -- pressure, pings, compression ----------------------------------------------------------------------


def test_an_application_that_does_not_receive_stops_the_client(serve_app, raw):
    going = []
    count = []

    @websocket
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while not going:
            await asyncio.sleep(0.01)
        while (await receive())["type"] == "websocket.receive":
            count.append(1)

    client = raw(serve_app(app)).say(OPENING)
    client.hear(b"\r\n\r\n")
    message = frame(0x82, b"x" * 60000)
    client.socket.settimeout(0.3)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 2000 * len(message):
            sent += client.socket.send(message[sent % len(message) :])
    assert sent < 1000 * len(message)
    client.socket.settimeout(60)
    going.append(1)
    left = len(message) - sent % len(message)
    client.say(message[len(message) - left :] if left != len(message) else b"")
    client.say(frame(0x88, b""))
    assert client.rest() == b"\x88\x00"
    assert len(count) == -(-sent // len(message))


def test_a_client_that_does_not_read_holds_the_application(serve_app, raw, eventually):
    sent = []

    @websocket
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(1000):
            await send({"type": "websocket.send", "bytes": b"x" * 65536})
            sent.append(1)

    context = serve_app(app)
    client = raw(context).say(OPENING)
    client.hear(b"\r\n\r\n")
    assert raw(context).say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").hear(b"plain")
    assert len(sent) < 500
    total = len(client.seen)
    while total < 1000 * (65536 + 10):
        data = client.socket.recv(1 << 18)
        assert data
        total += len(data)
    eventually(lambda: len(sent) == 1000)


def test_who_answers_pings_stays(serve_app, raw):
    own = {"websocket_ping_interval": 0.2, "websocket_ping_timeout": 60.0}
    client = raw(serve_app(echo(), own=own)).say(OPENING)
    client.hear(b"\r\n\r\n")
    for _ in range(3):
        head = client.octets(2)
        assert head[0] == 0x89
        client.say(frame(0x8A, client.octets(head[1])))


def test_who_answers_no_ping_is_left_with_1011(serve_app, raw, eventually):
    seen = []
    own = {"websocket_ping_interval": 0.2, "websocket_ping_timeout": 0.5}
    context = serve_app(echo(seen), own=own)
    client = raw(context).say(OPENING)
    client.hear(b"\r\n\r\n")
    assert client.octets(1) == b"\x89"
    assert b"\x88" in client.rest()
    eventually(lambda: len(seen) == 3)
    assert (seen[-1]["type"], seen[-1]["code"]) == ("websocket.disconnect", 1011)
    assert [kind for kind, _ in context.log.refusals] == ["ws_ping"]


def test_compression_is_off_by_default_and_a_setting(serve_app):
    with connect(url(serve_app(echo())), compression="deflate") as client:
        assert client.protocol.extensions == []
    context = serve_app(echo(), own={"websocket_per_message_deflate": True})
    with connect(url(context), compression="deflate") as client:
        assert len(client.protocol.extensions) == 1
        for _ in range(3):
            client.send("again and " * 1000)
            assert client.recv() == "again and " * 1000


def test_what_inflates_beyond_the_limit_closes_with_1009(serve_app, eventually):
    seen = []
    own = {"websocket_per_message_deflate": True, "websocket_max_message_size": 1 << 16}
    with connect(url(serve_app(echo(seen), own=own)), compression="deflate") as client:
        client.send(b"\0" * (1 << 24))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv()
    assert closed.value.rcvd.code == 1009
    eventually(lambda: len(seen) == 3)
    assert seen[-1]["code"] == 1009


def test_a_line_for_each_websocket_is_logged(serve_app, raw, eventually):
    context = serve_app(echo())
    with connect(url(context)) as client:
        client.send("hello")
        client.recv()
    eventually(lambda: context.log.lines)
    method, status, sent, _ = context.log.lines[0]
    assert (method, status) == ("GET", 101)
    assert sent >= 5
