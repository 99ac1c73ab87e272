"""What services offer to requests stands in their scopes' extensions, and can ask whether the client is still there."""

from __future__ import annotations

import asyncio

import pytest
from websockets.sync.client import connect

GET = b"GET /there HTTP/1.1\r\nHost: a\r\n\r\n"
START = {"type": "http.response.start", "status": 200, "headers": []}


class Offered:
    def __init__(self, view):
        self.view = view


OFFERS = (("test.offered", Offered),)


def without_lifespan(handler):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise RuntimeError("not here")
        await handler(scope, receive, send)

    return app


def test_each_request_has_its_own(serve_app, raw):
    seen = []

    @without_lifespan
    async def app(scope, receive, send):
        offered = scope["extensions"]["test.offered"]
        seen.append((offered, offered.view.head.path, offered.view.departed()))
        await send(START)
        await send({"type": "http.response.body", "body": b"hello"})

    client = raw(serve_app(app, offers=OFFERS))
    client.say(GET).hear(b"hello")
    client.say(GET).hear(b"hello")
    assert [(path, left) for _, path, left in seen] == [(b"/there", False)] * 2
    assert seen[0][0] is not seen[1][0]


def test_nothing_is_offered_by_default(serve_app, raw):
    @without_lifespan
    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": ",".join(scope["extensions"]).encode() + b" end"})

    assert b"test.offered" not in raw(serve_app(app)).say(GET).hear(b"end")


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_client_that_leaves_is_seen(serve_app, raw, eventually, how):
    """What the application makes of it is no error of the server's."""
    told = []

    @without_lifespan
    async def app(scope, receive, send):
        view = scope["extensions"]["test.offered"].view
        told.append(view.departed())
        while not view.departed():
            await asyncio.sleep(0.01)
        told.append(True)
        raise ConnectionAbortedError("the client left")

    context = serve_app(app, offers=OFFERS)
    client = raw(context).say(GET)
    eventually(lambda: told)
    getattr(client, how)()
    eventually(lambda: len(told) == 2)
    context.stop()
    assert told == [False, True]
    assert context.log.errors == []


def test_an_error_of_the_application_stays_one(serve_app, raw):
    @without_lifespan
    async def app(scope, receive, send):
        raise ConnectionAbortedError("the database left")

    context = serve_app(app, offers=OFFERS)
    raw(context).say(GET).hear(b"Internal Server Error\n")
    assert context.log.errors


def test_a_websocket_has_its_own(serve_app, eventually):
    told = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise RuntimeError("not here")
        view = scope["extensions"]["test.offered"].view
        await send({"type": "websocket.accept"})
        told.append((view.head.path, view.departed()))
        while not view.departed():
            await asyncio.sleep(0.01)
        told.append(True)
        raise ConnectionAbortedError("the client left")

    context = serve_app(app, offers=OFFERS)
    with connect("ws://{}:{}/chat".format(*context.address[:2]), open_timeout=60, close_timeout=60):
        eventually(lambda: told)
    eventually(lambda: len(told) == 2)
    context.stop()
    assert told == [(b"/chat", False), True]
    assert context.log.errors == []
