"""Whole exchanges with the h2 library as client: what the application and the client see."""

from __future__ import annotations

from typing import Any

import pytest
from frame_peers import GET, POST, Client, Raw
from hostler.plugin import Data, End, Gone, Policy, Request, ResponseError, Transport, Waiting
from hostler_http2._connection import Connection
from hostler_http2._hpack import encode
from hostler_http2._sending import TURN
from hyperframe.frame import (
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    WindowUpdateFrame,
)

PLAIN = [(b"Content-Type", b"text/plain")]


def answer(connection: Connection, stream: int, body: bytes = b"ok", status: int = 200) -> None:
    connection.start(stream, status, PLAIN, length=len(body))
    connection.data(stream, body)
    connection.end(stream)


@pytest.fixture
def client(connect: Any) -> Client:
    return Client(connect())


def fields(pairs: Any) -> bytes:
    return encode([(name.encode(), value.encode()) for name, value in pairs])


def test_a_request_and_its_answer(client: Client) -> None:
    """Everything that a head holds, and what the server adds to an answer."""
    stream = client.request(
        [*GET[:2], (":path", "/a%20b?c=d"), GET[3], ("accept", "*/*"), ("te", "trailers")]
    )
    (request,) = client.events
    assert isinstance(request, Request)
    assert request.ended
    head = request.head
    assert (head.method, head.target, head.path, head.query) == ("GET", b"/a%20b?c=d", b"/a%20b", b"c=d")
    assert (head.http_version, head.scheme, head.length) == ("2", "https", 0)
    assert head.headers == ((b"host", b"example.org"), (b"accept", b"*/*"), (b"te", b"trailers"))
    assert head.trailers_welcome
    assert client.connection.waiting is Waiting.NOTHING
    answer(client.connection, stream)
    client.exchange()
    headers, body, trailers = client.response(stream)
    assert headers.pop(b"date")
    assert headers == {
        b":status": b"200",
        b"content-type": b"text/plain",
        b"content-length": b"2",
        b"server": b"hostler",
    }
    assert (body, trailers) == (b"ok", None)
    assert client.connection.waiting is Waiting.IDLE


def test_the_same_head_for_the_same_bytes(client: Client) -> None:
    """A client that repeats itself is not decoded again, and an adapter finds what it made of the head."""
    heads = []
    for _ in range(3):
        stream = client.request()
        heads.append(client.events[-1].head)
        answer(client.connection, stream)
    assert heads[1] is heads[2]


def test_several_at_once(client: Client) -> None:
    """Answers come in the order that the application gives them."""
    streams = [client.request() for _ in range(20)]
    for stream in reversed(streams):
        answer(client.connection, stream, b"%d" % stream)
    client.exchange()
    for stream in streams:
        assert client.response(stream)[1] == b"%d" % stream


def test_bodies_both_ways(client: Client) -> None:
    """An upload goes on as the application takes it; a download as the client does."""
    body = bytes(range(256)) * 4000
    stream = client.request([*POST, ("content-length", str(len(body)))], body)
    blocks = [event.block for event in client.events if isinstance(event, Data)]
    assert b"".join(blocks) == body
    assert isinstance(client.events[-1], End)
    client.connection.start(stream, 200, PLAIN)
    client.connection.data(stream, body)
    client.connection.end(stream)
    seen = b""
    while len(seen) < len(body):
        client.exchange()
        seen += client.response(stream)[1]
        client.told = [event for event in client.told if type(event).__name__ != "DataReceived"]
    client.exchange()
    assert seen == body
    assert "StreamEnded" in client.names(stream)


def test_trailers_both_ways(client: Client) -> None:
    """The policy for trailers holds: none frames, routes or authenticates."""
    stream = client.request(POST, b"x", [("x-sum", "1"), ("authorization", "no"), ("x-forwarded-for", "no")])
    end = client.events[-1]
    assert isinstance(end, End)
    assert end.trailers == ((b"x-sum", b"1"),)
    client.connection.start(stream, 200, PLAIN)
    client.connection.data(stream, b"ok")
    client.connection.end(stream, [(b"grpc-status", b"0"), (b"Set-Cookie", b"no")])
    client.exchange()
    assert client.response(stream)[1:] == (b"ok", {b"grpc-status": b"0"})


def test_trailers_alone(client: Client) -> None:
    """A body need not come before them."""
    stream = client.request()
    client.connection.start(stream, 200, PLAIN)
    client.connection.end(stream, [(b"grpc-status", b"12")])
    client.exchange()
    assert client.response(stream)[1:] == (b"", {b"grpc-status": b"12"})


def test_pseudo_fields_in_trailers(connect: Any) -> None:
    """RFC 9113 section 8.1: malformed."""
    raw = Raw(connect())
    raw.send(HeadersFrame(1, data=fields(POST), flags=["END_HEADERS"]))
    raw.send(HeadersFrame(1, data=fields([(":path", "/")]), flags=["END_HEADERS", "END_STREAM"]))
    assert [event.kind for event in raw.events if isinstance(event, Gone)] == ["bad_trailer"]


def test_interim_responses(client: Client) -> None:
    """Several, before the final one and never after it; never 101."""
    stream = client.request()
    connection = client.connection
    for link in (b"</a.css>", b"</b.css>"):
        connection.inform(stream, 103, [(b"Link", link)])
    for status in (101, 200):
        with pytest.raises(ResponseError):
            connection.inform(stream, status)
    with pytest.raises(ResponseError):
        connection.inform(stream, 103, [(b"link", b"a\r\nb")])
    answer(connection, stream)
    stream = client.request()
    connection.start(stream, 200, PLAIN)
    with pytest.raises(ResponseError):
        connection.inform(stream, 103)
    client.exchange()
    assert client.names(1) == [
        "InformationalResponseReceived",
        "InformationalResponseReceived",
        "ResponseReceived",
        "DataReceived",
        "StreamEnded",
    ]


def test_expectations(client: Client) -> None:
    """100 (Continue) when the application wants the body, once, and not when the body came by itself."""
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, [*POST, ("expect", "100-continue")])
    client.exchange()
    assert client.events[-1].head.expects_continue
    client.connection.proceed(stream)
    client.connection.proceed(stream)
    client.exchange()
    assert client.names(stream) == ["InformationalResponseReceived"]
    stream = client.request([*POST, ("expect", "100-continue")], b"x")
    client.connection.proceed(stream)
    client.exchange()
    assert "InformationalResponseReceived" not in client.names(stream)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 205)])
def test_answers_without_bodies(client: Client, method: str, status: int) -> None:
    """Whatever the application sends, no octet of it goes out."""
    stream = client.request([(":method", method), *GET[1:]])
    connection = client.connection
    connection.start(stream, status, PLAIN, length=5)
    connection.data(stream, b"hello")
    connection.end(stream, [(b"x", b"y")])
    client.exchange()
    headers, body, trailers = client.response(stream)
    assert (body, trailers) == (b"", None)
    told = {200: b"5", 304: b"5", 205: b"0", 204: None}[status]
    assert headers.get(b"content-length") == told
    assert client.names(stream)[-1] == "StreamEnded"
    assert connection.overrun(stream) == 0


def test_bodies_and_their_lengths(client: Client) -> None:
    """More than Content-Length is cut, less resets the stream and not the connection."""
    connection = client.connection
    stream = client.request()
    connection.start(stream, 200, [(b"content-length", b"3")])
    connection.data(stream, b"abcdef")
    assert connection.overrun(stream) == 3
    connection.end(stream)
    client.exchange()
    assert client.response(stream)[1] == b"abc"
    stream = client.request()
    connection.start(stream, 200, [], length=3)
    connection.data(stream, b"ab")
    connection.end(stream)
    client.exchange()
    assert client.names(stream)[-1] == "StreamReset"
    assert not connection.closing


def test_an_answer_before_the_end_of_the_body(connect: Any) -> None:
    """RFC 9113 section 8.1: the whole answer, then RST_STREAM with NO_ERROR."""
    raw = Raw(connect())
    raw.send(HeadersFrame(1, data=fields(POST), flags=["END_HEADERS"]), DataFrame(1, b"x" * 100))
    answer(raw.connection, 1)
    raw.flush()
    assert [type(frame) for frame in raw.frames] == [HeadersFrame, DataFrame, RstStreamFrame]
    assert raw.frames[-1].error_code == 0
    assert not [event for event in raw.events if isinstance(event, Gone)]
    assert raw.connection.waiting is Waiting.IDLE


def test_an_answer_without_a_body_leaves_the_upload_alone(connect: Any) -> None:
    """The application may still read what it answered 204 to."""
    raw = Raw(connect())
    raw.send(HeadersFrame(1, data=fields(POST), flags=["END_HEADERS"]))
    raw.connection.start(1, 204, [])
    raw.flush()
    events = raw.send(DataFrame(1, b"x", flags=["END_STREAM"]))
    assert [type(event) for event in events] == [Data, End]
    raw.connection.end(1)
    raw.flush()
    assert raw.frames[-1].flags == {"END_STREAM"}
    assert not raw.sent(RstStreamFrame)


def test_abort(client: Client) -> None:
    """The client sees that the answer is broken; other requests go on."""
    connection = client.connection
    stream, other = client.request(), client.request()
    connection.start(stream, 200, PLAIN)
    connection.data(stream, b"half")
    client.exchange()
    connection.abort(stream)
    answer(connection, other)
    client.exchange()
    assert client.names(stream)[-1] == "StreamReset"
    assert client.response(other)[1] == b"ok"


def test_actions_on_what_is_gone(client: Client) -> None:
    """They do nothing."""
    stream = client.request(POST, b"x")
    client.h2.reset_stream(stream)
    client.exchange()
    connection = client.connection
    assert isinstance(client.events[-1], Gone)
    assert client.events[-1].kind == ""
    connection.inform(stream, 103)
    connection.taken(stream, 1)
    connection.proceed(stream)
    answer(connection, stream)
    connection.abort(stream)
    connection.end(stream)
    client.exchange()
    assert client.names(stream) == []
    assert connection.backlog(stream) == connection.overrun(stream) == 0


def test_misuse(client: Client) -> None:
    """The application's mistakes are its own."""
    stream = client.request()
    connection = client.connection
    with pytest.raises(ResponseError):
        connection.data(stream, b"x")
    with pytest.raises(ResponseError):
        connection.end(stream)
    for headers in ([(b"connection", b"upgrade")], [(b"transfer-encoding", b"chunked")], [(b"a b", b"c")]):
        with pytest.raises(ResponseError):
            connection.start(stream, 200, headers)
    with pytest.raises(ResponseError):
        connection.tunnel(stream, [])
    connection.start(stream, 200, [])
    with pytest.raises(ResponseError):
        connection.start(stream, 200, [])
    assert not connection.beside(stream, 10)


def test_header_names_become_lower_case(client: Client) -> None:
    stream = client.request()
    client.connection.start(
        stream, 200, [(b"X-Thing", b"A"), (b"Connection", b"close"), (b"Keep-Alive", b"1")]
    )
    client.connection.end(stream)
    client.exchange()
    headers = client.response(stream)[0]
    assert headers[b"x-thing"] == b"A"
    assert not {b"connection", b"keep-alive", b"X-Thing"} & set(headers)


def test_long_heads_are_split(connect: Any) -> None:
    """No frame is larger than the peer takes."""
    client = Client(connect())
    stream = client.request()
    client.connection.start(stream, 200, [(b"x-%d" % n, b"y" * 1000) for n in range(40)])
    client.connection.end(stream)
    client.exchange()
    assert len(client.response(stream)[0]) == 43


# -- trust and policy --------------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [True, False])
def test_the_policy_of_http1(connect: Any, trusted: bool) -> None:
    """Names with underscores, Proxy, and what forwarding fields say: as over HTTP/1.1."""
    peer = ("127.0.0.1" if trusted else "192.0.2.9", 1)
    client = Client(connect(transport=Transport(peer, ("192.0.2.2", 443), secure=True), policy=Policy()))
    client.request(
        [
            *GET,
            ("x_forwarded_for", "6.6.6.6"),
            ("proxy", "http://evil"),
            ("x-forwarded-for", "198.51.100.7"),
            ("x-forwarded-proto", "http"),
        ]
    )
    head = client.events[-1].head
    assert {name for name, _ in head.headers} == {b"host", b"x-forwarded-for", b"x-forwarded-proto"}
    assert head.scheme == ("http" if trusted else "https")
    assert (head.client is not None) is trusted


def test_scheme_is_the_transport_s(connect: Any) -> None:
    """What a client writes into :scheme changes nothing."""
    client = Client(connect())
    client.request([GET[0], (":scheme", "http"), *GET[2:]])
    assert client.events[-1].head.scheme == "https"


def test_refuse_underscores(connect: Any) -> None:
    """A listener that refuses names answers 400."""
    client = Client(connect(policy=Policy(header_map="refuse")))
    stream = client.request([*GET, ("x_y", "1")])
    assert client.response(stream)[0][b":status"] == b"400"
    assert client.response(stream)[1] == b"Bad Request\n"


# -- the end of a connection -------------------------------------------------------------------------------


def test_drain_in_two_steps(connect: Any) -> None:
    """What the client sends before it knows is served; then the last stream is named, finished, and the end."""
    raw = Raw(connect())
    connection = raw.connection
    get = fields(GET)
    raw.send(HeadersFrame(1, data=get, flags=["END_HEADERS", "END_STREAM"]))
    connection.drain()
    connection.drain()
    assert raw.flush() == []
    raw.send(HeadersFrame(3, data=get, flags=["END_HEADERS", "END_STREAM"]))
    (first, ping) = raw.frames
    assert (first.last_stream_id, first.error_code) == (2**31 - 1, 0)
    assert isinstance(ping, PingFrame)
    raw.send(PingFrame(0, ping.opaque_data, flags=["ACK"]))
    assert raw.sent(GoAwayFrame)[-1].last_stream_id == 3
    late = HeadersFrame(5, data=get, flags=["END_HEADERS", "END_STREAM"])
    assert raw.send(late, WindowUpdateFrame(5, window_increment=1)) == []
    for stream in (1, 3):
        assert not connection.closing
        answer(connection, stream)
        raw.flush()
    assert connection.closing
    assert len(raw.sent(GoAwayFrame)) == 2


def test_drain_with_one_request_in_service(connect: Any) -> None:
    """The client learns of the end with the end of its answer."""
    raw = Raw(connect())
    raw.send(HeadersFrame(1, data=fields(GET), flags=["END_HEADERS", "END_STREAM"]))
    raw.connection.drain()
    answer(raw.connection, 1)
    assert [type(frame) for frame in raw.flush()] == [HeadersFrame, DataFrame, GoAwayFrame]
    assert raw.frames[-1].last_stream_id == 1
    assert raw.connection.closing


def test_drain_before_anything_came(connect: Any) -> None:
    connection = connect()
    assert connection.waiting is Waiting.FIRST
    connection.drain()
    assert connection.closing


def test_drain_of_an_idle_connection(connect: Any) -> None:
    """It closes one round trip later."""
    raw = Raw(connect())
    raw.connection.drain()
    goaway, ping = raw.flush()
    assert (goaway.last_stream_id, raw.connection.closing) == (2**31 - 1, False)
    raw.send(PingFrame(0, ping.opaque_data, flags=["ACK"]))
    assert raw.sent(GoAwayFrame)[-1].last_stream_id == 0
    assert raw.connection.closing


def test_max_requests(connect: Any) -> None:
    """The last one allowed announces the end."""
    client = Client(connect(max_requests=2))
    for _ in range(2):
        stream = client.request()
        answer(client.connection, stream)
        client.exchange()
        assert client.response(stream)[1] == b"ok"
    assert client.connection.closing


def test_no_keepalive(connect: Any) -> None:
    """`keepalive = 0`: the connection ends with what it carries."""
    client = Client(connect(keepalive=False))
    stream = client.request()
    answer(client.connection, stream)
    client.exchange()
    assert client.response(stream)[1] == b"ok"
    assert client.connection.closing


def test_the_client_leaves(client: Client) -> None:
    """Its GOAWAY ends the connection when its requests are answered."""
    stream = client.request()
    client.h2.close_connection()
    client.exchange()
    assert not client.connection.closing
    answer(client.connection, stream)
    client.connection.outgoing()
    assert client.connection.closing


def test_half_closed(connect: Any) -> None:
    """Complete requests are answered, incomplete ones are lost."""
    raw = Raw(connect())
    raw.send(HeadersFrame(1, data=fields(GET), flags=["END_HEADERS", "END_STREAM"]))
    raw.send(HeadersFrame(3, data=fields(POST), flags=["END_HEADERS"]))
    events = raw.feed(b"")
    assert [(event.stream, event.kind) for event in events] == [(3, "")]
    raw.connection.abort(3)
    answer(raw.connection, 1)
    raw.flush()
    assert raw.sent(DataFrame)[-1].data == b"ok"
    assert raw.connection.closing


def test_half_closed_and_windows_shut(connect: Any) -> None:
    """No window can open any more: what waits for one is lost, and told."""
    raw = Raw(connect(), settings={4: 0})
    raw.send(HeadersFrame(1, data=fields(GET), flags=["END_HEADERS", "END_STREAM"]))
    raw.feed(b"")
    raw.connection.start(1, 200, [])
    raw.connection.data(1, b"x")
    raw.flush()
    raw.flush()
    assert raw.connection.held
    assert [event.stream for event in raw.connection.resume()] == [1]
    raw.connection.abort(1)
    raw.flush()
    assert raw.connection.closing


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_closed_before_a_request(connect: Any, cut: int) -> None:
    connection = connect()
    data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"[:cut]
    if data:
        connection.receive(data)
    events = connection.receive(b"")
    assert connection.closing or not cut or events
    connection.outgoing()
    assert connection.closing


def test_deadlines(connect: Any) -> None:
    """First byte, head, idle: what is told and what is closed."""
    connection = connect()
    assert [event.kind for event in connection.expire()] == ["idle_new"]
    assert connection.closing
    assert connection.abrupt
    connection = connect()
    connection.receive(b"PRI * ")
    assert connection.waiting is Waiting.HEAD
    assert [event.kind for event in connection.expire()] == ["header_timeout"]
    raw = Raw(connect())
    assert raw.connection.waiting is Waiting.IDLE
    raw.connection.receive(b"\0\0")
    assert raw.connection.waiting is Waiting.HEAD
    raw = Raw(connect())
    raw.connection.expire()
    raw.flush()
    assert raw.sent(GoAwayFrame)[0].error_code == 0
    assert raw.connection.closing


def test_slow_body(connect: Any) -> None:
    """408 if nothing was answered, else CANCEL."""
    raw = Raw(connect())
    for number in (1, 3):
        raw.send(HeadersFrame(number, data=fields(POST), flags=["END_HEADERS"]))
    raw.connection.start(3, 200, [])
    raw.flush()
    assert raw.connection.waiting is Waiting.BODY
    events = raw.connection.expire()
    assert [(event.stream, event.kind) for event in events] == [(1, "body_slow"), (3, "body_slow")]
    raw.flush()
    assert [frame.error_code for frame in raw.sent(RstStreamFrame)] == [0, 8]


# -- tunnels -----------------------------------------------------------------------------------------------

WEBSOCKET = [(":method", "CONNECT"), *GET[1:], (":protocol", "websocket"), ("sec-websocket-version", "13")]


def test_a_tunnel(connect: Any) -> None:
    """RFC 8441: offered, asked for, accepted; then octets go both ways."""
    client = Client(connect(tunnels=True))
    assert client.h2.remote_settings.enable_connect_protocol == 1
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, WEBSOCKET)
    (request,) = client.exchange()
    assert isinstance(request, Request)
    assert request.head.upgrade == b"websocket"
    assert (request.head.method, request.head.path, request.ended) == ("CONNECT", b"/", False)
    assert client.connection.waiting is Waiting.NOTHING
    client.connection.tunnel(stream, [(b"sec-websocket-protocol", b"chat")])
    client.exchange()
    assert client.response(stream)[0][b":status"] == b"200"
    client.h2.send_data(stream, b"ping")
    (data,) = client.exchange()
    assert isinstance(data, Data)
    assert data.block == b"ping"
    client.connection.taken(stream, 4)
    client.connection.data(stream, b"pong")
    client.exchange()
    assert client.response(stream)[1] == b"pong"
    client.h2.end_stream(stream)
    assert [type(event) for event in client.exchange()] == [End]
    client.connection.end(stream)
    client.exchange()
    assert client.names(stream)[-1] == "StreamEnded"


def test_a_tunnel_that_is_denied(connect: Any) -> None:
    """An ordinary answer."""
    client = Client(connect(tunnels=True))
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, WEBSOCKET)
    client.exchange()
    answer(client.connection, stream, b"no", 403)
    client.exchange()
    assert client.response(stream)[0][b":status"] == b"403"


def test_tunnels_are_offered_only_where_they_work(client: Client) -> None:
    assert client.h2.remote_settings.enable_connect_protocol == 0


# -- priorities --------------------------------------------------------------------------------------------


def body_order(raw: Raw) -> list[int]:
    order: list[int] = []
    for frame in raw.frames:
        if isinstance(frame, DataFrame) and frame.data and order[-1:] != [frame.stream_id]:
            order.append(frame.stream_id)
    return order


@pytest.mark.parametrize(
    ("priorities", "order"),
    [
        ([None, None, None], [1, 3, 5]),
        (["u=5", "u=1", "u=3"], [3, 5, 1]),
        (["u=7", None, "u=0"], [5, 3, 1]),
        (["i", "i", "u=1"], [5, 1, 3, 1, 3]),
        (["nonsense=;;", "u=9", "u=2"], [5, 1, 3]),
    ],
)
def test_urgency_and_increments(connect: Any, priorities: list[str | None], order: list[int]) -> None:
    """RFC 9218: urgent first, the incremental ones in turns, whatever cannot be read ignored."""
    raw = Raw(connect(), settings={4: 1 << 20})
    raw.send(WindowUpdateFrame(0, window_increment=1 << 20))
    for number, priority in zip((1, 3, 5), priorities, strict=True):
        extra = [("priority", priority)] if priority else []
        raw.send(HeadersFrame(number, data=fields([*GET, *extra]), flags=["END_HEADERS", "END_STREAM"]))
    for number in (1, 3, 5):
        answer(raw.connection, number, b"x" * 32768)
    raw.flush()
    assert body_order(raw) == order


def test_priority_update(connect: Any) -> None:
    """Before a stream is open, and while it waits."""
    raw = Raw(connect(), settings={4: 1 << 20})
    update = b"\0\0\7\x10\0\0\0\0\0"
    raw.send(update + (5).to_bytes(4, "big") + b"u=0")
    for number in (1, 3, 5):
        raw.send(HeadersFrame(number, data=fields(GET), flags=["END_HEADERS", "END_STREAM"]))
    raw.send(update + (1).to_bytes(4, "big") + b"u=6")
    for number in (1, 3, 5):
        answer(raw.connection, number, b"x" * 20000)
    raw.flush()
    assert body_order(raw) == [5, 3, 1]


# -- one write at a time -----------------------------------------------------------------------------------


def octets(frames: Any) -> int:
    return sum(len(frame.data) for frame in frames if isinstance(frame, DataFrame))


def wide(connect: Any, numbers: range, size: int, *extra: tuple[str, str]) -> Raw:
    """Requests of a client whose windows hold everything, each answered with a large body."""
    raw = Raw(connect(), settings={4: 2**31 - 1})
    raw.send(WindowUpdateFrame(0, window_increment=2**31 - 1 - 65535))
    for number in numbers:
        raw.connection.receive(
            HeadersFrame(number, data=fields([*GET, *extra]), flags=["END_HEADERS", "END_STREAM"]).serialize()
        )
        answer(raw.connection, number, bytes(size))
    return raw


def test_no_more_than_one_write_is_made(connect: Any) -> None:
    """H2-14: however wide the windows are, what waits for the socket is small, and the rest is not copied."""
    raw = wide(connect, range(1, 64, 2), 1 << 20)
    backlog = [raw.connection.backlog(number) for number in range(1, 64, 2)]
    assert sum(backlog) == 32 << 20
    total = 0
    while fresh := octets(raw.flush()):
        assert fresh <= TURN + 16384
        total += fresh
    assert total == 32 << 20
    assert {frame.stream_id for frame in raw.frames if "END_STREAM" in frame.flags} == set(range(1, 64, 2))


def test_an_urgent_answer_overtakes_between_writes(connect: Any) -> None:
    """What is not written yet gives way."""
    raw = wide(connect, range(1, 6, 2), 1 << 20)
    raw.flush()
    raw.frames.clear()
    raw.send(HeadersFrame(7, data=fields([*GET, ("priority", "u=0")]), flags=["END_HEADERS", "END_STREAM"]))
    raw.frames.clear()
    answer(raw.connection, 7, bytes(1000))
    raw.flush()
    assert next(frame.stream_id for frame in raw.frames if isinstance(frame, DataFrame)) == 7


def test_incremental_answers_share_all_writes(connect: Any) -> None:
    """More streams than one write has frames for: the next write goes on with those that had less."""
    raw = wide(connect, range(1, 100, 2), 1 << 18, ("priority", "i"))
    for _ in range(8):
        raw.flush()
    sent = {number: 0 for number in range(1, 100, 2)}
    for frame in raw.frames:
        if isinstance(frame, DataFrame):
            sent[frame.stream_id] += len(frame.data)
    assert max(sent.values()) - min(sent.values()) <= 16384


def test_waiting_for_its_turn_is_no_fault(connect: Any, clock: Any) -> None:
    """A slow client takes one answer after the other: the last is not given up for the others' sake."""
    raw = wide(connect, range(1, 6, 2), 1 << 20)
    while raw.connection.backlog(5):
        assert raw.connection.waiting is Waiting.NOTHING
        clock.now += 20
        raw.connection.receive(PingFrame(0, b"12345678").serialize())
        raw.flush()
    assert not raw.sent(RstStreamFrame)
    assert octets(raw.frames) == 3 << 20


def test_waiting_for_the_others_window(connect: Any, clock: Any) -> None:
    """The connection's window opens slowly and the first answer takes it all: the second waits, and is not given up."""
    raw = Raw(connect(), settings={4: 2**31 - 1})
    for number in (1, 3):
        raw.send(HeadersFrame(number, data=fields(GET), flags=["END_HEADERS", "END_STREAM"]))
        answer(raw.connection, number, bytes(1 << 20))
    raw.flush()
    for _ in range(200):
        clock.now += 10
        raw.send(WindowUpdateFrame(0, window_increment=16384))
    assert not raw.sent(RstStreamFrame)
    assert octets(raw.frames) == 2 << 20


# -- work --------------------------------------------------------------------------------------------------


def test_large_bodies_cost_linear_work(connect: Any) -> None:
    """48 MiB in one block, taken by a client window by window: each octet is copied a bounded number of times."""
    size = 48 << 20
    raw = Raw(connect(), settings={4: 1 << 16})
    raw.connection.receive(HeadersFrame(1, data=fields(GET), flags=["END_HEADERS", "END_STREAM"]).serialize())
    raw.connection.start(1, 200, [], length=size)
    raw.connection.data(1, bytes(size))
    raw.connection.end(1)
    seen = pieces = 0
    update = (
        WindowUpdateFrame(1, window_increment=32768).serialize()
        + WindowUpdateFrame(0, window_increment=32768).serialize()
    )
    while raw.connection._session.streams:
        for piece in raw.connection.outgoing():
            seen += len(piece)
            pieces += 1
        raw.connection.receive(update)
    assert size <= seen < size + 100000
    assert pieces < 2 * (size // 16384) + 100


def test_a_body_byte_by_byte(connect: Any) -> None:
    """A megabyte, an octet at a time, is a matter of a second or two."""
    raw = Raw(connect())
    raw.send(HeadersFrame(1, data=fields(POST), flags=["END_HEADERS"]))
    receive = raw.connection.receive
    taken = 0
    for _ in range(16):
        data = DataFrame(1, bytes(16384)).serialize()
        for position in range(len(data)):
            for event in receive(data[position : position + 1]):
                taken += len(event.block)
                raw.connection.taken(1, len(event.block))
        raw.connection.outgoing()
    assert taken == 16 * 16384


def test_small_blocks_travel_together(connect: Any) -> None:
    """Whatever waits for the same write shares a frame, as large as the peer takes."""
    raw = Raw(connect())
    raw.send(HeadersFrame(1, data=fields(GET), flags=["END_HEADERS", "END_STREAM"]))
    raw.connection.start(1, 200, [])
    for _ in range(100):
        raw.connection.data(1, b"x" * 300)
    raw.connection.end(1)
    raw.flush()
    assert [len(frame.data) for frame in raw.sent(DataFrame)] == [300 * 54, 300 * 46]
    assert "END_STREAM" in raw.frames[-1].flags


def test_trailers_over_a_limit(connect: Any) -> None:
    """They are counted like a head: 431 if nothing was answered."""
    raw = Raw(connect(max_header_list_size=1000))
    raw.send(HeadersFrame(1, data=fields(POST), flags=["END_HEADERS"]))
    raw.send(HeadersFrame(1, data=fields([("x", "y" * 1000)]), flags=["END_HEADERS", "END_STREAM"]))
    assert [event.kind for event in raw.events if isinstance(event, Gone)] == ["h2_headers"]
    assert b"\x08\x03431" in raw.sent(HeadersFrame)[0].data


def test_methods_may_be_folded(connect: Any) -> None:
    """Listeners that fold HTTP/1's methods fold these."""
    client = Client(connect(policy=Policy(casefold_http_method=True)))
    client.request([(":method", "get"), *GET[1:]])
    assert client.events[-1].head.method == "GET"
