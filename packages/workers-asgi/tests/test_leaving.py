"""Clients that leave, read slowly or say nothing; and what a stop does to those that are there."""

from __future__ import annotations

import asyncio
import socket

import pytest

START = {"type": "http.response.start", "status": 200, "headers": []}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def more(body):
    return {"type": "http.response.body", "body": body, "more_body": True}


def without_lifespan(handler):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise RuntimeError("not here")
        await handler(scope, receive, send)

    return app


def test_sending_to_a_client_that_left_raises_an_oserror_that_nobody_logs(serve_app, raw, eventually):
    raised = []

    @without_lifespan
    async def app(scope, receive, send):
        await send(START)
        try:
            while True:
                await send(more(b"x" * 1000))
                await asyncio.sleep(0.01)
        except OSError as error:
            raised.append(error)
            raise

    context = serve_app(app)
    client = raw(context).say(GET)
    client.hear(b"x")
    client.reset()
    eventually(lambda: raised)
    assert type(raised[0]) is not OSError
    context.stop()
    assert context.log.errors == []


@pytest.mark.parametrize("how", ["reset", "close"])
def test_an_endless_answer_without_a_pause_ends_with_its_client(serve_app, raw, eventually, how):
    ended = []

    @without_lifespan
    async def app(scope, receive, send):
        await send(START)
        if scope["path"] == "/other":
            await send({"type": "http.response.body", "body": b"other"})
            return
        try:
            while True:
                await send(more(b"y" * 65536))
        finally:
            ended.append(True)

    context = serve_app(app)
    for number in range(1, 11):
        client = raw(context).say(GET)
        client.hear(b"y")
        getattr(client, how)()
        eventually(lambda number=number: len(ended) == number)
    raw(context).say(GET.replace(b"/ ", b"/other ")).hear(b"other")


def test_an_event_stream_ends_soon_after_its_client_closed(serve_app, raw, eventually):
    ended = []

    @without_lifespan
    async def app(scope, receive, send):
        async def events():
            try:
                while True:
                    yield b"data: 1\n\n"
                    await asyncio.sleep(0.05)
            finally:
                ended.append(True)

        await send(START)
        stream = events()
        try:
            async for event in stream:
                await send(more(event))
        finally:
            await stream.aclose()

    client = raw(serve_app(app)).say(GET)
    client.hear(b"data: 1")
    client.close()
    eventually(lambda: ended)


def test_an_error_that_a_framework_makes_of_the_disconnect_is_not_logged(serve_app, raw, eventually):
    done = []

    @without_lifespan
    async def app(scope, receive, send):
        await send(START)
        try:
            while True:
                await send(more(b"x" * 1000))
                await asyncio.sleep(0.01)
        except OSError:
            done.append(True)
            raise RuntimeError("the client is gone") from None

    context = serve_app(app)
    client = raw(context).say(GET)
    client.hear(b"x")
    client.reset()
    eventually(lambda: done)
    context.stop()
    assert context.log.errors == []


def test_receive_tells_of_a_reset_again_and_again(serve_app, raw, eventually):
    told = []

    @without_lifespan
    async def app(scope, receive, send):
        await receive()
        for _ in range(3):
            told.append(await receive())

    client = raw(serve_app(app)).say(GET)
    client.reset()
    eventually(lambda: len(told) == 3)
    assert told == [{"type": "http.disconnect"}] * 3


def test_an_application_that_goes_on_is_cancelled_after_the_grace_period(serve_app, raw, eventually):
    seen = []

    @without_lifespan
    async def app(scope, receive, send):
        seen.append("began")
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    context = serve_app(app, own={"disconnect_grace_period": 0.1})
    client = raw(context).say(GET)
    eventually(lambda: seen)
    client.reset()
    eventually(lambda: "cancelled" in seen)
    assert context.log.errors == []


def test_a_stream_that_knows_has_its_grace_period(serve_app, raw, eventually):
    seen, going = [], []

    @without_lifespan
    async def app(scope, receive, send):
        await send(START)
        await send(more(b"x"))
        try:
            while scope["path"] == "/":
                await send(more(b"x" * 1000))
                await asyncio.sleep(0.01)
            await asyncio.sleep(600)
        except OSError:
            seen.append("knows")
            while not going:
                await asyncio.sleep(0.01)
            seen.append("cleared up")
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    context = serve_app(app, own={"disconnect_grace_period": 600.0})
    client = raw(context).say(GET)
    client.hear(b"x")
    client.reset()
    eventually(lambda: seen == ["knows"])
    later = raw(context).say(GET.replace(b"/ ", b"/silent "))
    later.hear(b"x")
    later.reset()
    eventually(lambda: len(seen) == 2)
    assert seen == ["knows", "cancelled"]
    going.append(True)
    eventually(lambda: seen == ["knows", "cancelled", "cleared up"])


def test_work_after_the_answer_is_not_cancelled_when_the_client_leaves(serve_app, raw, eventually):
    seen = []
    going = []

    @without_lifespan
    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})
        while not going:
            await asyncio.sleep(0.01)
        seen.append("done")

    context = serve_app(app, own={"disconnect_grace_period": 0.0})
    client = raw(context).say(GET)
    client.hear(b"ok")
    client.reset()
    eventually(lambda: not context.status.connections and context.status.active)
    going.append(True)
    eventually(lambda: seen)


def test_a_client_that_closed_its_half_gets_its_answer(serve_app, raw):
    going = []

    @without_lifespan
    async def app(scope, receive, send):
        await receive()
        while not going:
            await asyncio.sleep(0.01)
        await send(START)
        await send({"type": "http.response.body", "body": b"answered"})

    client = raw(serve_app(app)).say(GET)
    client.socket.shutdown(socket.SHUT_WR)
    going.append(True)
    assert client.rest().endswith(b"\r\n\r\nanswered")


@pytest.mark.parametrize("size", [0, 10])
def test_an_application_that_only_listens_hears_of_a_client_that_closed(serve_app, raw, eventually, size):
    """A close shows as the end of its octets and nothing else, as long as nothing is sent."""
    told = []

    @without_lifespan
    async def app(scope, receive, send):
        if size:
            await send(START)
            await send(more(b"x" * size))
        assert (await receive())["type"] == "http.request"
        for _ in range(3):
            told.append(await receive())

    context = serve_app(app)
    client = raw(context).say(GET)
    if size:
        client.hear(b"x" * size)
    client.close()
    eventually(lambda: len(told) == 3)
    assert told == [{"type": "http.disconnect"}] * 3
    eventually(lambda: not context.status.connections and not context.status.active)
    assert context.log.errors == []


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_stream_that_waits_for_news_ends_with_its_client(serve_app, raw, eventually, how):
    """It neither sends nor listens, as frameworks do that rely on `send` to raise."""
    ended = []

    @without_lifespan
    async def app(scope, receive, send):
        await send(START)
        await send(more(b"first"))
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(True)

    context = serve_app(app, own={"disconnect_grace_period": 600.0})
    client = raw(context).say(GET)
    client.hear(b"first")
    getattr(client, how)()
    eventually(lambda: ended)
    eventually(lambda: not context.status.connections and not context.status.active)
    assert context.log.errors == []


def test_an_application_that_listens_may_answer_a_client_that_closed_its_half(serve_app, raw):
    @without_lifespan
    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        await send(START)
        await send({"type": "http.response.body", "body": b"answered"})

    client = raw(serve_app(app)).say(GET)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.rest().endswith(b"\r\n\r\nanswered")


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
def test_a_client_that_closed_its_half_gets_every_answer(serve_app, raw, turns):
    """The end of its octets is heard between an answer and the next request, too, however tasks begin."""

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        for _ in range(turns):
            await asyncio.sleep(0)
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"300000")]}
        )
        await send({"type": "http.response.body", "body": b"x" * 300000})

    client = raw(serve_app(app))
    client.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 4)
    client.socket.shutdown(socket.SHUT_WR)
    heard = client.rest()
    assert heard.count(b"HTTP/1.1 200 OK") == 4
    assert heard.count(b"x" * 300000) == 4


def test_a_slow_reader_holds_its_application(serve_app, raw, eventually):
    sent = []

    @without_lifespan
    async def app(scope, receive, send):
        await send(START)
        if scope["path"] == "/other":
            await send({"type": "http.response.body", "body": b"other"})
            return
        for _ in range(1000):
            await send(more(b"x" * 65536))
            sent.append(True)
        await send({"type": "http.response.body"})

    context = serve_app(app)
    client = raw(context).say(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    client.hear(b"\r\n\r\n")
    assert raw(context).say(GET.replace(b"/ ", b"/other ")).hear(b"other")
    assert len(sent) < 500
    assert client.rest().count(b"x") == 1000 * 65536
    eventually(lambda: len(sent) == 1000)


def test_a_reader_that_takes_nothing_is_cut_off(serve_app, raw, eventually):
    raised = []

    @without_lifespan
    async def app(scope, receive, send):
        await send(START)
        try:
            while True:
                await send(more(b"x" * 65536))
        except OSError as error:
            raised.append(error)

    context = serve_app(app, core={"write_timeout": 0.5})
    raw(context).say(GET)
    eventually(lambda: raised)
    assert [kind for kind, _ in context.log.refusals] == ["write_slow"]


def test_an_application_that_does_not_read_stops_the_upload(serve_app, raw, eventually):
    going = []
    total = []

    @without_lifespan
    async def app(scope, receive, send):
        while not going:
            await asyncio.sleep(0.01)
        while True:
            message = await receive()
            total.append(len(message["body"]))
            if not message["more_body"]:
                break
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})

    client = raw(serve_app(app))
    size = 64 << 20
    client.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % size)
    client.socket.settimeout(0.3)
    sent = 0
    block = b"x" * 65536
    try:
        while sent < size:
            sent += client.socket.send(block[: size - sent])
    except TimeoutError:
        pass
    assert sent < size
    client.socket.settimeout(60)
    going.append(True)
    while sent < size:
        sent += client.socket.send(block[: size - sent])
    assert client.rest().startswith(b"HTTP/1.1 200 ")
    assert sum(total) == size


@pytest.mark.parametrize(
    ("core", "said", "heard", "kind"),
    [
        ({"first_byte_timeout": 0.3}, b"", b"", "idle_new"),
        ({"header_timeout": 0.3}, b"GET / HT", b"HTTP/1.1 408 ", "header_timeout"),
        (
            {"body_timeout": 0.3},
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
            b"HTTP/1.1 408 ",
            "body_slow",
        ),
    ],
)
def test_deadlines(serve_app, raw, core, said, heard, kind):
    @without_lifespan
    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass

    context = serve_app(app, core=core)
    client = raw(context).say(said)
    assert client.rest().startswith(heard)
    assert [one for one, _ in context.log.refusals] == [kind]


def test_an_idle_connection_is_closed_after_keepalive(serve_app, raw):
    @without_lifespan
    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})

    client = raw(serve_app(app, core={"keepalive": 0.2})).say(GET)
    client.hear(b"ok")
    assert client.rest() == b""


def test_a_graceful_stop_finishes_what_is_in_service(serve_app, raw, eventually):
    going, began = [], []

    @without_lifespan
    async def app(scope, receive, send):
        if scope["path"] == "/slow":
            began.append(True)
            while not going:
                await asyncio.sleep(0.01)
        await send(START)
        await send({"type": "http.response.body", "body": b"finished"})

    context = serve_app(app)
    idle = raw(context).say(GET)
    idle.hear(b"finished")
    busy = raw(context).say(GET.replace(b"/ ", b"/slow "))
    eventually(lambda: began)
    context.stopping = "graceful"
    import os

    os.write(context._wake, b"x")
    assert idle.rest() == b""
    assert context.thread.is_alive()
    going.append(True)
    answered = busy.rest()
    assert b"connection: close" in answered.lower()
    assert answered.endswith(b"finished")
    context.thread.join(60)
    assert not context.thread.is_alive()
    assert context.error is None
    assert context.log.errors == []


def test_a_graceful_stop_cancels_what_takes_too_long(serve_app, raw, eventually):
    seen = []

    @without_lifespan
    async def app(scope, receive, send):
        seen.append("began")
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    context = serve_app(app, core={"graceful_timeout": 0.5})
    client = raw(context).say(GET)
    eventually(lambda: seen)
    context.stop()
    assert seen == ["began", "cancelled"]
    assert client.rest().startswith(b"HTTP/1.1 500 ")


def test_a_quick_stop_waits_for_nobody(serve_app, raw, eventually):
    seen = []

    @without_lifespan
    async def app(scope, receive, send):
        seen.append("began")
        try:
            await asyncio.sleep(600)
        finally:
            seen.append("left")

    context = serve_app(app)
    raw(context).say(GET)
    eventually(lambda: seen)
    context.stop("quick")
    assert seen == ["began", "left"]


def test_connections_beyond_the_limit_wait_their_turn(serve_app, raw, eventually):
    @without_lifespan
    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})

    context = serve_app(app, core={"worker_connections": 2})
    first, second = raw(context), raw(context)
    eventually(lambda: context.status.connections == 2)
    third = raw(context).say(GET)
    eventually(lambda: any(kind == "conn_limit" for kind, _ in context.log.refusals))
    first.close()
    third.hear(b"ok")
    second.close()


def test_a_thousand_abrupt_ends_leave_nothing_behind(serve_app, raw, eventually):
    import os

    @without_lifespan
    async def app(scope, receive, send):
        await receive()
        await send(START)
        await send(more(b"x" * 100))
        await asyncio.sleep(0.001)
        await send({"type": "http.response.body", "body": b"ok"})

    context = serve_app(app)
    raw(context).say(GET).hear(b"ok")
    pieces = [
        b"",
        b"GET",
        GET,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
        GET + GET + b"GE",
    ]
    descriptors = len(os.listdir("/proc/self/fd"))
    for number in range(1000):
        client = raw(context).say(pieces[number % len(pieces)])
        client.reset()
    eventually(lambda: context.status.connections <= 1 and not context.status.active)
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)
    raw(context).say(GET).hear(b"ok")
    assert context.log.errors == []
