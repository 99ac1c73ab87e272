"""A connection's actions, deadlines and order, given bytes and looked at through its contract."""

from __future__ import annotations

from typing import Any

import h11
import pytest
from hostler.http import Data, End, Gone, Limits, Policy, Request, ResponseError, Waiting
from hostler.http1._connection import Http1Connection
from hostler.http1._known import Known
from http1_corpus import Play, connect
from hypothesis import given, settings
from hypothesis import strategies as st

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
TEXT = ((b"Content-Type", b"text/plain"),)


def post(size: int, fields: bytes = b"", body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (fields, size, body)


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def out(connection: Http1Connection) -> bytes:
    return b"".join(connection.outgoing())


def answer(connection: Http1Connection, stream: int, body: bytes = b"ok") -> bytes:
    connection.start(stream, 200, TEXT, length=len(body))
    connection.data(stream, body)
    connection.end(stream)
    return out(connection)


def told(events: Any) -> list[str]:
    return [type(event).__name__ for event in events]


# -- answers -----------------------------------------------------------------------------------------------


@given(
    status=st.sampled_from((200, 204, 205, 304, 404, 426)),
    length=st.one_of(st.none(), st.integers(0, 6)),
    body=st.binary(max_size=5) | st.just(b"x" * 70000),
    request=st.sampled_from(
        (
            GET,
            OLD,
            b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
            GET + GET,
            post(3, body=b"ab"),
            post(3, body=b"abc"),
            post(3, b"Expect: 100-continue\r\n"),
        )
    ),
    trailers=st.sampled_from(((), ((b"X-Sum", b"1"),))),
)
@settings(deadline=None, max_examples=300)
def test_whole_answer_is_its_three_parts(
    status: int, length: int | None, body: bytes, request: bytes, trailers: Any
) -> None:
    """`respond` leaves the same bytes and the same state as `start`, `data` and `end`."""
    fields = TEXT if length is None else (*TEXT, (b"Content-Length", b"%d" % length))
    one, other = connect(), connect()
    for connection in (one, other):
        connection.receive(request)
    one.respond(1, status, fields, body, b"", trailers)
    other.start(1, status, fields, length=None if trailers else len(body))
    other.data(1, body)
    other.end(1, trailers)
    for _ in range(2):
        assert out(one) == out(other)
        assert (one.waiting, one.reading, one.closing, one.abrupt, one.held, one.overrun(1)) == (
            other.waiting,
            other.reading,
            other.closing,
            other.abrupt,
            other.held,
            other.overrun(1),
        )
        assert told(one.receive(GET)) == told(other.receive(GET))


def test_whole_answer_that_cannot_be_sent() -> None:
    """Nothing was sent, and another may be tried; a second one is a mistake."""
    connection = connect()
    connection.receive(GET)
    with pytest.raises(ResponseError):
        connection.respond(1, 200, ((b"X-Bad", b"a\r\nb"),), b"ok", b"")
    assert connection.outgoing() == []
    connection.respond(1, 500, TEXT, b"sorry", b"")
    assert out(connection).endswith(b"sorry")
    with pytest.raises(ResponseError):
        connection.respond(1, 200, TEXT, b"ok", b"")
    connection.respond(2, 200, TEXT, b"for nobody", b"")
    assert connection.outgoing() == []


def test_small_answer_is_one_write() -> None:
    connection = connect()
    (request,) = connection.receive(GET)
    assert request.ended
    assert request.stream == 1
    assert connection.waiting is Waiting.NOTHING
    connection.start(1, 200, TEXT, length=2)
    connection.data(1, b"ok")
    connection.end(1)
    assert connection.outgoing() == [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: hostler\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nok"
    ]
    assert connection.outgoing() == []
    assert connection.waiting is Waiting.IDLE
    assert not connection.closing
    (request,) = connection.receive(GET)
    assert request.stream == 2


def test_own_date_server_and_reason_are_kept() -> None:
    connection = connect()
    connection.receive(GET)
    connection.start(
        1, 299, ((b"Date", b"now"), (b"server", b"me"), (b"Content-Length", b"0")), reason=b"Fine \xe9"
    )
    connection.end(1)
    assert (
        out(connection) == b"HTTP/1.1 299 Fine \xe9\r\nDate: now\r\nserver: me\r\nContent-Length: 0\r\n\r\n"
    )


def test_no_server_field() -> None:
    connection = connect(policy=Policy(server_header=b""))
    connection.receive(GET)
    assert b"Server" not in answer(connection, 1)


def test_unknown_status_has_a_reason() -> None:
    connection = connect()
    connection.receive(GET)
    connection.start(1, 299, TEXT, length=0)
    assert out(connection).startswith(b"HTTP/1.1 299 Unknown\r\n")


def test_unknown_length_is_chunked() -> None:
    connection = connect()
    connection.receive(GET)
    connection.start(1, 200, TEXT)
    connection.data(1, b"")
    connection.data(1, bytearray(b"hello"))  # type: ignore[arg-type]
    connection.data(1, memoryview(b"x" * 17))  # type: ignore[arg-type]
    connection.end(1, ((b"X-Sum", b"1"),))
    head, _, body = out(connection).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"5\r\nhello\r\n11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\n"
    assert connection.waiting is Waiting.IDLE


def test_trailers_only_when_welcome() -> None:
    connection = connect()
    connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
    connection.start(1, 200, TEXT)
    connection.end(1, ((b"X-Sum", b"1"), (b"Content-Length", b"5"), (b"Trailer", b"x"), (b"Host", b"x")))
    assert out(connection).endswith(b"\r\n\r\n0\r\nX-Sum: 1\r\n\r\n")


@pytest.mark.parametrize("field", [(b"X", b"a\r\nb"), (b"X y", b"a"), (b"Upgrade", b"a")])
def test_bad_trailer_is_an_application_error(field: tuple[bytes, bytes]) -> None:
    connection = connect()
    connection.receive(GET)
    connection.start(1, 200, TEXT)
    with pytest.raises(ResponseError):
        connection.end(1, (field,))


def test_old_client_without_length_gets_the_end_of_the_connection() -> None:
    connection = connect()
    connection.receive(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    connection.start(1, 200, TEXT)
    connection.data(1, b"hello")
    connection.end(1)
    written = out(connection)
    assert b"Transfer-Encoding" not in written
    assert b"Connection: close\r\n" in written
    assert written.endswith(b"\r\n\r\nhello")
    assert connection.closing
    assert not connection.abrupt


def test_old_client_with_length_may_stay() -> None:
    connection = connect()
    connection.receive(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: keep-alive\r\n" in answer(connection, 1)
    assert not connection.closing


@pytest.mark.parametrize(
    ("status", "fields", "length", "line"),
    [
        (204, ((b"Content-Length", b"5"),), None, None),
        (204, (), 5, None),
        (304, ((b"Content-Length", b"5"),), None, b"5"),
        (304, (), None, None),
        (205, (), 5, b"0"),
    ],
)
def test_statuses_without_body(status: int, fields: Any, length: int | None, line: bytes | None) -> None:
    connection = connect()
    connection.receive(GET)
    connection.start(1, status, fields, length=length)
    connection.data(1, b"hello")
    connection.end(1)
    head, _, body = out(connection).partition(b"\r\n\r\n")
    assert body == b""
    assert b"Transfer-Encoding" not in head
    assert (b"Content-Length: %b" % line in head.split(b"\r\n")) if line else (b"Content-Length" not in head)
    assert not connection.closing


@pytest.mark.parametrize(("length", "line"), [(5, True), (None, False)])
def test_head_has_no_body(length: int | None, line: bool) -> None:
    connection = connect()
    connection.receive(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection.start(1, 200, TEXT, length=length)
    connection.data(1, b"hello")
    connection.end(1)
    written = out(connection)
    assert written.endswith(b"\r\n\r\n")
    assert (b"Content-Length: 5" in written) is line
    assert b"chunked" not in written
    assert not connection.closing


def test_excess_is_cut_and_told() -> None:
    connection = connect()
    connection.receive(GET)
    connection.start(1, 200, ((b"Content-Length", b"3"),))
    connection.data(1, b"ab")
    assert connection.overrun(1) == 0
    connection.data(1, b"cdef")
    connection.data(1, b"g")
    connection.end(1)
    assert connection.overrun(1) == 4
    assert connection.overrun(7) == 0
    assert out(connection).endswith(b"\r\n\r\nabc")
    assert not connection.closing


def test_shortfall_closes() -> None:
    connection = connect()
    connection.receive(GET)
    connection.start(1, 200, TEXT, length=3)
    connection.data(1, b"ab")
    connection.end(1)
    assert connection.closing
    assert connection.abrupt


def test_large_blocks_are_not_copied() -> None:
    connection = connect()
    connection.receive(GET)
    block = b"x" * 70000
    connection.start(1, 200, TEXT, length=len(block))
    connection.data(1, block)
    _, body = connection.outgoing()
    assert body is block
    connection = connect()
    connection.receive(GET)
    connection.start(1, 200, TEXT)
    for _ in range(3):
        connection.data(1, block)
        connection.data(1, b"small")
    connection.end(1)
    blocks = connection.outgoing()
    assert sum(each is block for each in blocks) == 3
    assert len(blocks) <= 8


def test_sendfile_room() -> None:
    connection = connect()
    connection.receive(GET)
    assert not connection.beside(1, 5)
    connection.start(1, 200, TEXT, length=5)
    assert not connection.beside(1, 6)
    assert connection.beside(1, 3)
    assert connection.beside(1, 2)
    connection.end(1)
    assert not connection.closing
    assert not connection.beside(2, 1)
    connection.receive(GET)
    connection.start(2, 200, TEXT)
    assert not connection.beside(2, 1)
    secure = connect(secure=True)
    secure.receive(GET)
    secure.start(1, 200, TEXT, length=5)
    assert not secure.beside(1, 5)


def test_interim_answers() -> None:
    connection = connect()
    connection.receive(GET)
    connection.inform(1, 103, ((b"Link", b"</a>; rel=preload"),))
    assert out(connection) == b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
    for status in (99, 101, 200):
        with pytest.raises(ResponseError):
            connection.inform(1, status)
    with pytest.raises(ResponseError):
        connection.inform(1, 103, ((b"Link", b"a\nb"),))
    connection.start(1, 200, TEXT, length=0)
    with pytest.raises(ResponseError):
        connection.inform(1, 103)
    old = connect()
    old.receive(OLD)
    old.inform(1, 103, TEXT)
    assert out(old) == b""


BAD_HEADS: list[tuple[int, Any, bytes]] = [
    (200, ((b"X\r\nY", b"a"),), b""),
    (200, ((b"", b"a"),), b""),
    (200, ((b"X Y", b"a"),), b""),
    (200, ((b"X\xe9", b"a"),), b""),
    (200, ((b"X", b"a\rb"),), b""),
    (200, ((b"X", b"a\nb"),), b""),
    (200, ((b"X", b"a\0b"),), b""),
    (200, (), b"OK\r\nX: y"),
    (200, (), b"OK\0"),
    (100, (), b""),
    (199, (), b""),
    (1000, (), b""),
    (200, ((b"Content-Length", b"+5"),), b""),
    (200, ((b"Content-Length", b"5"), (b"content-length", b"5")), b""),
    (200, ((b"Transfer-Encoding", b"chunked"),), b""),
    (200, ((b"TE", b"trailers"),), b""),
    (200, ((b"Upgrade", b"h2c"),), b""),
    (200, ((b"Connection", b"upgrade"),), b""),
    (200, ((b"Connection", b"x-a"),), b""),
    (200, ((b"Proxy-Connection", b"close"),), b""),
    (200, ((b"Proxy-Authenticate", b"x"),), b""),
]


@pytest.mark.parametrize(("status", "headers", "reason"), BAD_HEADS)
def test_bad_head_leaves_room_for_an_error(status: int, headers: Any, reason: bytes) -> None:
    connection = connect()
    connection.receive(GET)
    for _ in range(2):
        with pytest.raises(ResponseError) as error:
            connection.start(1, status, headers, reason=reason)
        assert "evil" not in str(error.value)
    assert out(connection) == b""
    connection.start(1, 500, TEXT, length=0)
    connection.end(1)
    assert out(connection).startswith(b"HTTP/1.1 500 ")


def test_hop_by_hop_fields_that_mean_something() -> None:
    connection = connect()
    connection.receive(GET)
    connection.start(1, 200, ((b"Connection", b"Close"), (b"Keep-Alive", b"timeout=5")), length=0)
    connection.end(1)
    written = out(connection)
    assert written.count(b"Connection: close\r\n") == 1
    assert b"Keep-Alive" not in written
    assert connection.closing
    connection = connect()
    connection.receive(GET)
    connection.start(1, 426, ((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade, keep-alive")), length=0)
    connection.end(1)
    written = out(connection)
    assert b"Upgrade: websocket\r\n" in written
    assert b"Connection: upgrade\r\n" in written
    assert not connection.closing
    connection.receive(GET)
    connection.start(2, 426, ((b"Connection", b"close"),), length=0)
    assert b"Connection: upgrade, close\r\n" in out(connection)


def test_actions_out_of_order() -> None:
    connection = connect()
    connection.receive(GET)
    with pytest.raises(ResponseError):
        connection.data(1, b"x")
    with pytest.raises(ResponseError):
        connection.end(1)
    with pytest.raises(ResponseError):
        connection.tunnel(1, ())
    connection.start(1, 200, TEXT, length=0)
    with pytest.raises(ResponseError):
        connection.start(1, 200, TEXT)
    with pytest.raises(ResponseError):
        connection.tunnel(1, ())
    connection.end(1)
    out(connection)
    # Another stream, or one that is gone, is no mistake.
    connection.start(9, 200, TEXT)
    connection.data(9, b"x")
    connection.end(9)
    connection.abort(9)
    connection.abort(1)
    connection.taken(1, 5)
    connection.proceed(1)
    connection.tunnel(9, ())
    connection.inform(9, 103)
    assert out(connection) == b""
    assert not connection.closing
    assert connection.backlog(1) == 0


def test_many_different_answers_are_forgotten() -> None:
    connection = connect()
    for number in range(1, 600):
        (request,) = connection.receive(GET)
        connection.start(request.stream, 200, ((b"X-Number", b"%d" % number),), length=0)
        connection.end(request.stream)
        assert b"X-Number: %d\r\n" % number in out(connection)
    (request,) = connection.receive(GET)
    connection.start(request.stream, 200, tuple((b"X-%d" % i, b"x") for i in range(40)), length=0)
    assert b"X-39: x\r\n" in out(connection)


def test_the_date_is_renewed() -> None:
    now = [0.0]
    from hostler.http import DateLine

    connection = connect(shared={"date": DateLine(lambda: now[0])})
    connection.receive(GET)
    assert b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in answer(connection, 1)
    now[0] = 1.5
    connection.receive(GET)
    assert b"Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n" in answer(connection, 2)


def test_a_gateway_frames_for_itself() -> None:
    from hostler.http import DateLine
    from hostler.http1._render import CLOSE, GATEWAY, KEEP, Renderer

    answer = Renderer(b"", DateLine(lambda: 0)).answer(200, b"", TEXT, None, GATEWAY | KEEP)
    assert b"Connection" not in answer.head
    assert b"Transfer-Encoding" not in answer.head
    assert answer.framing == CLOSE


def test_a_source_of_heads_may_want_no_answer_to_a_mistake() -> None:
    from types import SimpleNamespace

    from hostler.http import Opening, ProtocolError, Transport

    usual = connect()
    source = SimpleNamespace(
        known=Known(),
        late=ProtocolError(0, "silent", "too late"),
        glance=lambda data: (None, data),
        begin=usual._reader.begin,
        body=usual._reader.body,
    )
    opening = Opening(Transport(("::1", 1), None), Limits(), Policy())
    connection = Http1Connection(opening, source, usual._renderer)
    connection.receive(b"G")
    (gone,) = connection.expire()
    assert (gone.kind, out(connection), connection.abrupt) == ("silent", b"", True)


# -- the end of a connection -------------------------------------------------------------------------------


def test_last_of_max_requests() -> None:
    from hostler.http import Opening, Transport
    from hostler.http1._opening import open_connection

    connection = open_connection(Opening(Transport(("::1", 1), None), Limits(), Policy(), max_requests=2))
    connection.receive(GET)
    assert b"Connection:" not in answer(connection, 1)
    connection.receive(GET)
    assert b"Connection: close\r\n" in answer(connection, 2)
    assert connection.closing


def test_no_keepalive() -> None:
    connection = connect(keepalive=False)
    connection.receive(GET + GET)
    assert b"Connection: close\r\n" in answer(connection, 1)
    assert connection.closing
    assert not connection.held


def test_drain_in_service_and_idle() -> None:
    connection = connect()
    connection.receive(GET)
    connection.drain()
    assert b"Connection: close\r\n" in answer(connection, 1)
    assert connection.closing
    connection = connect()
    connection.receive(GET)
    answer(connection, 1)
    connection.drain()
    assert not connection.closing
    connection.receive(GET)
    assert b"Connection: close\r\n" in answer(connection, 2)
    assert connection.closing


def test_half_closed_client_is_answered() -> None:
    connection = connect()
    connection.receive(GET)
    assert connection.receive(b"") == ()
    assert not connection.closing
    assert not connection.reading
    assert b"Connection: close\r\n" in answer(connection, 1)
    assert connection.closing


def test_half_closed_client_is_answered_all_it_sent() -> None:
    connection = connect()
    connection.receive(GET + GET + b"GET")
    connection.receive(b"")
    answer(connection, 1)
    assert connection.held
    assert told(connection.resume()) == ["Request"]
    answer(connection, 2)
    assert connection.held
    assert told(connection.resume()) == ["Gone"]
    assert connection.closing


def test_half_closed_between_an_answer_and_the_next_request() -> None:
    """The driver hears of the end before it asked for what was kept back: that comes first."""
    connection = connect()
    connection.receive(GET + GET + GET)
    answer(connection, 1)
    assert connection.held
    assert told(connection.receive(b"")) == ["Request"]
    assert not connection.closing
    answer(connection, 2)
    assert told(connection.resume()) == ["Request"]
    assert b"Connection: close\r\n" in answer(connection, 3)
    assert connection.closing


@pytest.mark.parametrize("cut", [CHUNKED + b"5\r\nhel", post(5, body=b"hel"), post(5)])
def test_half_closed_client_with_a_cut_body(cut: bytes) -> None:
    connection = connect()
    connection.receive(GET + cut)
    connection.receive(b"")
    answer(connection, 1)
    events = connection.resume()
    assert told(events)[0] == "Request"
    assert told(events)[-1] == "Gone"
    assert "End" not in told(events)


def test_peer_leaves_an_idle_connection() -> None:
    connection = connect()
    (gone,) = connection.receive(b"")
    assert isinstance(gone, Gone)
    assert gone.kind == ""
    assert connection.closing
    assert connection.abrupt
    assert connection.receive(b"") == ()
    assert connection.receive(GET) == ()
    assert connection.resume() == ()


def test_abort() -> None:
    connection = connect()
    connection.receive(GET)
    connection.start(1, 200, TEXT)
    connection.data(1, b"x")
    connection.abort(1)
    assert connection.closing
    assert connection.abrupt
    assert not out(connection).endswith(b"0\r\n\r\n")
    # What comes late is lost without a word.
    connection.data(1, b"y")
    connection.end(1)
    connection.abort(1)
    assert out(connection) == b""


# -- deadlines ---------------------------------------------------------------------------------------------


def test_nothing_comes() -> None:
    connection = connect()
    assert connection.waiting is Waiting.FIRST
    (gone,) = connection.expire()
    assert gone.kind == "idle_new"
    assert connection.closing
    assert connection.abrupt
    assert out(connection) == b""


def test_nothing_more_comes() -> None:
    connection = connect()
    connection.receive(GET)
    assert connection.expire() == ()
    answer(connection, 1)
    (gone,) = connection.expire()
    assert gone.kind == ""
    assert connection.closing
    assert out(connection) == b""


@pytest.mark.parametrize("begun", [b"G", b"\r\n", b"\r", GET[:-1]])
def test_slow_head(begun: bytes) -> None:
    connection = connect()
    connection.receive(begun)
    assert connection.waiting is Waiting.HEAD
    (gone,) = connection.expire()
    assert gone.stream is None
    assert gone.kind == "header_timeout"
    assert out(connection).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert connection.closing
    assert not connection.abrupt


def test_slow_body() -> None:
    connection = connect()
    connection.receive(post(5, body=b"h"))
    assert connection.waiting is Waiting.BODY
    (gone,) = connection.expire()
    assert gone.stream == 1
    assert gone.kind == "body_slow"
    assert out(connection).startswith(b"HTTP/1.1 408 ")
    connection.start(1, 200, TEXT)
    assert out(connection) == b""


def test_slow_body_after_the_answer_began() -> None:
    connection = connect()
    connection.receive(post(5, body=b"h"))
    connection.start(1, 200, TEXT)
    out(connection)
    (gone,) = connection.expire()
    assert gone.stream == 1
    assert out(connection) == b""
    assert connection.abrupt


def test_refusal_of_head_has_no_body() -> None:
    connection = connect()
    connection.receive(b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    connection.expire()
    assert out(connection).endswith(b"\r\n\r\n")


def test_refusals_are_fixed_text() -> None:
    connection = connect()
    connection.receive(b"GET /secret HTTP/1.1\r\nHost: a\r\nCookie secret\r\n\r\n")
    written = out(connection)
    assert b"secret" not in written
    assert written == (
        b"HTTP/1.1 400 Bad Request\r\nServer: hostler\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 12\r\nConnection: close\r\n\r\nBad Request\n"
    )
    connection = connect()
    connection.receive(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"\r\nAllow: GET" in out(connection)


# -- bodies ------------------------------------------------------------------------------------------------


def test_body_in_one_read() -> None:
    connection = connect()
    request, data, end = connection.receive(post(5, body=b"hello"))
    assert isinstance(request, Request)
    assert not request.ended
    assert isinstance(data, Data)
    assert isinstance(end, End)
    assert repr(end)
    assert connection.waiting is Waiting.NOTHING


def test_back_pressure() -> None:
    connection = connect(limits=Limits(read_ahead=10))
    connection.receive(post(30))
    assert connection.waiting is Waiting.BODY
    connection.receive(b"x" * 10)
    assert not connection.reading
    assert connection.waiting is Waiting.NOTHING
    connection.taken(1, 4)
    assert connection.reading
    assert connection.waiting is Waiting.BODY
    connection.receive(b"x" * 20)
    assert connection.reading
    connection.taken(1, 26)
    answer(connection, 1)
    assert connection.waiting is Waiting.IDLE


def test_read_ahead_is_bounded() -> None:
    connection = connect(limits=Limits(read_ahead=100))
    connection.receive(GET)
    while connection.reading:
        connection.receive(GET)
    answer(connection, 1)
    assert connection.held
    assert connection.reading
    assert told(connection.resume()) == ["Request"]
    assert not connection.held


def test_unread_body_is_read_on() -> None:
    connection = connect()
    connection.receive(post(1000, body=b"x"))
    answer(connection, 1)
    assert not connection.closing
    assert connection.waiting is Waiting.BODY
    connection.taken(1, 1)
    assert connection.receive(b"x" * 500) == ()
    assert told(connection.receive(b"x" * 499 + GET)) == ["Request"]
    answer(connection, 2)
    connection.receive(CHUNKED)
    answer(connection, 3)
    assert connection.receive(b"5\r\nhello\r\n0\r\n\r\n") == ()
    assert connection.waiting is Waiting.IDLE


def test_unread_body_that_is_long_closes() -> None:
    connection = connect()
    connection.receive(post(100_000))
    answer(connection, 1)
    assert connection.closing
    connection = connect()
    connection.receive(CHUNKED)
    answer(connection, 1)
    assert not connection.closing
    connection.receive(b"20000\r\n" + b"x" * 0x20000)
    assert connection.closing


def test_unread_body_that_breaks() -> None:
    connection = connect()
    connection.receive(CHUNKED)
    answer(connection, 1)
    (gone,) = connection.receive(b"xyz\r\n")
    assert gone.stream is None
    assert gone.kind == "bad_chunk"
    assert out(connection) == b""
    connection = connect()
    connection.receive(CHUNKED)
    answer(connection, 1)
    assert told(connection.receive(b"")) == ["Gone"]
    assert connection.closing
    connection = connect()
    connection.receive(CHUNKED)
    answer(connection, 1)
    (gone,) = connection.expire()
    assert gone.kind == "body_slow"


def test_unread_body_and_no_keepalive() -> None:
    connection = connect(keepalive=False)
    connection.receive(post(10))
    answer(connection, 1)
    assert connection.closing


EXPECT = post(5, b"Expect: 100-continue\r\n")


def test_continue_when_the_body_is_wanted() -> None:
    connection = connect()
    (request,) = connection.receive(EXPECT)
    assert request.head.expects_continue
    assert connection.waiting is Waiting.NOTHING
    connection.proceed(1)
    assert out(connection) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert connection.waiting is Waiting.BODY
    connection.proceed(1)
    assert out(connection) == b""
    assert told(connection.receive(b"hello")) == ["Data", "End"]
    connection.proceed(1)
    assert b"Connection: close" not in answer(connection, 1)


def test_continue_is_not_sent_when_the_body_comes_anyway() -> None:
    connection = connect()
    connection.receive(EXPECT + b"h")
    connection.proceed(1)
    assert out(connection) == b""
    assert connection.waiting is Waiting.BODY


def test_an_answer_instead_of_continue_is_the_last() -> None:
    connection = connect()
    connection.receive(EXPECT)
    assert b"Connection: close\r\n" in answer(connection, 1)
    connection.proceed(1)
    assert out(connection) == b""
    assert connection.closing


# -- upgrades ----------------------------------------------------------------------------------------------

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def test_tunnel() -> None:
    connection = connect(tunnels=True)
    (request,) = connection.receive(UPGRADE + b"early")
    assert request.head.upgrade == b"websocket"
    with pytest.raises(ResponseError):
        connection.tunnel(1, ((b"X", b"a\r\nb"),))
    connection.tunnel(1, ((b"Sec-WebSocket-Accept", b"x"),))
    written = out(connection)
    assert written.startswith(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n")
    assert b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n" in written
    assert connection.held
    (data,) = connection.resume()
    assert data.block == b"early"
    (data,) = connection.receive(b"\r\n\r\nanything")
    assert data.block == b"\r\n\r\nanything"
    assert connection.resume() == ()
    connection.data(1, b"back")
    connection.data(1, bytearray(b"!"))  # type: ignore[arg-type]
    assert out(connection) == b"back!"
    connection.data(5, b"lost")
    connection.end(1)
    assert connection.closing
    assert not connection.abrupt


def test_tunnel_bytes_keep_their_order() -> None:
    connection = connect()
    connection.receive(UPGRADE + b"a")
    connection.tunnel(1, ())
    (data,) = connection.receive(b"b")
    assert data.block == b"ab"
    assert not connection.held
    (gone,) = connection.receive(b"")
    assert gone.stream == 1


@pytest.mark.parametrize("early", [b"", b"a"])
def test_tunnel_of_a_client_that_has_finished(early: bytes) -> None:
    """It sent its upgrade, perhaps octets for the tunnel, and its end before it was let in."""
    connection = connect()
    connection.receive(UPGRADE + early)
    assert connection.receive(b"") == ()
    connection.tunnel(1, ())
    assert connection.held
    assert told(connection.resume()) == ["Data"] * len(early) + ["Gone"]
    assert connection.closing


def test_tunnel_bytes_that_wait_come_before_the_end() -> None:
    connection = connect()
    connection.receive(UPGRADE + b"a")
    connection.tunnel(1, ())
    assert told(connection.receive(b"")) == ["Data", "Gone"]


def test_tunnel_only_where_asked_for() -> None:
    connection = connect()
    connection.receive(GET)
    with pytest.raises(ResponseError):
        connection.tunnel(1, ())


# -- options of the listener -------------------------------------------------------------------------------


def verdict(raw: bytes, **options: Any) -> str:
    played = Play(connect(**options)).feed([raw])
    if played.gone:
        return played.written[9:12].decode()
    request = played.requests[0]
    return f"{request['method']} {request['version']} {request['headers'][1:]}"


def test_policy_options() -> None:
    folded = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n \tc \r\n\td\r\n\r\n"
    assert verdict(folded) == "400"
    permit = Policy(permit_obsolete_folding=True)
    assert verdict(folded, policy=permit) == "GET 1.1 [['x-a', 'b c d']]"
    assert Play(connect(policy=permit)).feed([folded[:40], folded[40:]]).requests[0]["headers"][1] == [
        "x-a",
        "b c d",
    ]
    assert verdict(b"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", policy=permit) == "400"
    assert verdict(GET, policy=permit) == "GET 1.1 []"
    long = b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n " + b"z" * 8190 + b"\r\n\r\n"
    assert verdict(long, policy=permit) == "431"
    spaced = b"GET / HTTP/1.1\r\nHost : a\r\nX-A\t: b\r\n\r\n"
    assert verdict(spaced) == "400"
    assert verdict(spaced, policy=Policy(strip_header_spaces=True)) == "GET 1.1 [['x-a', 'b']]"
    lower = b"get / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert verdict(lower, policy=Policy(casefold_http_method=True)) == "GET 1.1 []"
    assert verdict(lower, policy=Policy(permit_unconventional_http_method=True)) == "get 1.1 []"
    version = b"GET / HTTP/%b\r\nHost: a\r\n\r\n"
    loose = Policy(permit_unconventional_http_version=True)
    assert verdict(version % b"3.0", policy=loose) == "GET 1.1 []"
    assert verdict(version % b"0.9", policy=loose) == "GET 1.0 []"


def test_no_limits() -> None:
    limits = Limits(request_line=0, field=0, fields=0, head=0, body=0)
    raw = b"GET /%b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (b"a" * 100_000, b"X-A: b\r\n" * 3000)
    assert verdict(raw, limits=limits).startswith("GET 1.1")
    assert len(Play(connect(limits=limits)).feed([raw[:150_000], raw[150_000:]]).requests) == 1


def test_small_limits() -> None:
    limits = Limits(request_line=20, field=20, fields=2, head=50, body=4)
    assert verdict(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 30), limits=limits) == "414"
    assert verdict(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nB: c\r\n\r\n", limits=limits) == "431"
    assert verdict(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % (b"a" * 30), limits=limits) == "431"
    assert verdict(b"GET / HTTP/1.1\r\nHost: a\r\nA: %b\r\n\r\n" % (b"b" * 17), limits=limits).startswith(
        "GET"
    )
    assert verdict(GET * 2, limits=limits).startswith("GET")
    head = b"GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaa\r\nA: %b\r\n\r\n"
    assert verdict(head % (b"b" * 17), limits=limits) == "431"
    # A head whose fields are known already is no longer for that.
    connection = connect(limits=limits)
    connection.receive(b"GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaa\r\nA: bbb\r\n\r\n")
    answer(connection, 1)
    assert told(connection.receive(b"GET /long HTTP/1.1\r\nHost: aaaaaaaaaaaaaa\r\nA: bbb\r\n\r\n")) == [
        "Gone"
    ]
    assert verdict(post(4, body=b"abcd"), limits=Limits(body=4)).startswith("POST")
    assert verdict(post(5), limits=Limits(body=4)) == "413"
    assert verdict(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n", limits=Limits(body=4)) == "413"


def test_identical_heads_are_one_head() -> None:
    shared: dict[str, Any] = {}
    # What comes a third time is kept: at first its lines are, then its fields, then the whole.
    for _ in range(2):
        connect(shared=shared).receive(GET)
    one = connect(shared=shared)
    other = connect(shared=shared)
    (first,) = one.receive(GET)
    (second,) = other.receive(GET)
    assert first.head is second.head
    trusted = connect(shared=shared, peer="127.0.0.1")
    (third,) = trusted.receive(GET)
    assert third.head is not first.head
    (fourth,) = connect(shared=shared, secure=True).receive(GET)
    assert fourth.head.scheme == "https"


def test_memory_of_heads_is_bounded() -> None:
    connection = connect()
    reader = connection._reader
    for number in range(3000):
        raw = b"GET /%d HTTP/1.1\r\nHost: a\r\nX-%d: %d\r\n\r\n" % (number, number, number)
        (request,) = connection.receive(raw)
        answer(connection, request.stream)
    assert not reader.known
    for number in range(400):
        for _ in range(3):
            (request,) = connection.receive(
                b"GET /%d HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n" % (number, number)
            )
            answer(connection, request.stream)
    assert 0 < len(reader.known) <= reader.KEPT
    assert reader.known.sizes == set(map(len, reader.known))
    assert len(reader._sections) <= reader.KEPT
    lines = reader.lines
    assert len(lines._fields) <= lines.KEPT
    assert len(lines.requests) <= lines.KEPT
    assert len(lines._names) <= lines.KEPT
    before = len(reader.known)
    (request,) = connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: %b\r\n\r\n" % (b"b" * 5000))
    assert request.ended
    assert len(reader.known) == before


def test_fields_of_a_request_with_a_body_are_known_again() -> None:
    connection = connect()
    for number in (0, 1, 2, 3, 3, 3):
        raw = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" % number
        request, data, end = connection.receive(raw)
        assert (request.head.path, data.block, told([end])) == (b"/%d" % number, b"x", ["End"])
        answer(connection, request.stream)


def test_methods_share_their_fields() -> None:
    connection = connect()
    for number, method in enumerate(
        (
            b"GET",
            b"HEAD",
            b"PUT",
            b"POST",
            b"LINK",
            b"LOCK",
            b"COPY",
            b"MOVE",
            b"BIND",
            b"COPY2",
            b"COPY3",
            b"COPY4",
        )
    ):
        (request,) = connection.receive(b"%b /%d HTTP/1.1\r\nHost: a\r\n\r\n" % (method, number))
        assert request.head.method == method.decode()
        answer(connection, request.stream)


def test_what_h11_makes_of_an_answer() -> None:
    connection = connect()
    connection.receive(GET)
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    connection.start(1, 200, ((b"X", b" spaced "),))
    connection.data(1, b"hello")
    connection.end(1)
    client.receive_data(out(connection))
    response = client.next_event()
    assert isinstance(response, h11.Response)
    assert (b"x", b"spaced") in response.headers
    assert isinstance(client.next_event(), h11.Data)
    assert isinstance(client.next_event(), h11.EndOfMessage)
