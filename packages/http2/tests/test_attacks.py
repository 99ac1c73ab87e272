"""Each known attack on HTTP/2, and what it gets: the code, the word for the log, and nothing more than its share."""

from __future__ import annotations

from typing import Any

import pytest
from frame_peers import GET, POST, Client, Clock, Raw, opening
from hostler.plugin import Data, End, Gone, Limits, Request, Waiting
from hostler_http2._connection import Connection, open_connection
from hostler_http2._hpack import encode
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT = 0, 1, 2, 3, 4
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CALM = 5, 6, 7, 8, 9, 11


def block(fields: Any = GET) -> bytes:
    """A header block that leaves the table alone."""
    return encode([(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields])


def headers(number: int, fields: Any = GET, end: bool = True, **more: Any) -> HeadersFrame:
    flags = ["END_HEADERS", *(["END_STREAM"] if end else []), *more.pop("flags", [])]
    return HeadersFrame(number, data=block(fields), flags=flags, **more)


def upload(number: int) -> HeadersFrame:
    return headers(number, POST, end=False)


def gone(events: Any) -> list[tuple[int | None, str]]:
    return [(event.stream, event.kind) for event in events if isinstance(event, Gone)]


def assert_ended(raw: Raw, code: int, kind: str) -> None:
    """The connection was ended with this code, once, and the driver was told."""
    frames = [frame for frame in raw.sent(GoAwayFrame) if frame.error_code == code]
    assert len(frames) == 1
    assert raw.connection.closing
    assert (None, kind) in gone(raw.events)
    assert raw.connection.receive(b"more") == ()


def assert_reset(raw: Raw, number: int, code: int) -> None:
    """The stream was reset with this code, and the connection lives."""
    assert [frame.error_code for frame in raw.sent(RstStreamFrame) if frame.stream_id == number] == [code]
    assert not raw.connection.closing


def assert_alive(raw: Raw, number: int) -> None:
    """Another request on the same connection is served."""
    events = raw.send(headers(number))
    assert [type(event) for event in events] == [Request]
    answer(raw.connection, number)
    frames = raw.flush()
    assert [type(frame) for frame in frames if frame.stream_id == number] == [HeadersFrame, DataFrame]


def answer(connection: Connection, number: int, body: bytes = b"ok") -> None:
    connection.start(number, 200, [], length=len(body))
    connection.data(number, body)
    connection.end(number)


@pytest.fixture
def raw(connect: Any) -> Raw:
    return Raw(connect())


def until_closed(raw: Raw, make: Any, most: int) -> int:
    """Send frames until the connection is ended; returns how many it took."""
    for count in range(most):
        raw.send(make(count))
        if raw.connection.closing:
            return count + 1
    raise AssertionError(f"still open after {most}")


# -- H2-01, H2-02: resets ----------------------------------------------------------------------------------


def test_rapid_reset(raw: Raw) -> None:
    """H2-01: cancelled requests keep their slots until the application is done, and a flood of resets ends it."""
    in_service = 0
    for count in range(400):
        number = 2 * count + 1
        events = raw.send(headers(number), RstStreamFrame(number, error_code=CANCEL))
        in_service += sum(isinstance(event, Request) for event in events)
        assert in_service <= 100
        if count % 2:  # the application is slower than the peer
            raw.connection.abort(count)
            in_service -= 1
        if raw.connection.closing:
            break
    assert count == 200
    assert_ended(raw, CALM, "h2_reset_flood")


def test_slots_come_back_with_the_application(connect: Any) -> None:
    """A reset request occupies its slot until its application ends or aborts."""
    raw = Raw(connect(max_concurrent_streams=2))
    for number in (1, 3):
        raw.send(headers(number), RstStreamFrame(number, error_code=CANCEL))
    raw.send(headers(5))
    assert_reset(raw, 5, REFUSED_STREAM)
    raw.connection.abort(1)
    assert_alive(raw, 7)
    raw.connection.end(3)
    assert_alive(raw, 9)


@pytest.mark.parametrize(
    "fault",
    [
        lambda n: WindowUpdateFrame(n, window_increment=2**31 - 1),
        lambda n: DataFrame(n, b"late"),
        lambda n: headers(n),
    ],
    ids=["overflow", "data", "headers"],
)
def test_made_to_reset(raw: Raw, fault: Any) -> None:
    """H2-02: resets that a peer provokes count like its own, and free no slot."""
    started = 0
    for count in range(400):
        number = 2 * count + 1
        events = raw.send(headers(number), fault(number))
        started += sum(isinstance(event, Request) for event in events)
        if started == 50:
            for each in range(1, number + 1, 2):
                raw.connection.abort(each)
            started = 0
        if raw.connection.closing:
            break
    assert count <= 201
    assert_ended(raw, CALM, "h2_reset_flood")


def test_window_update_of_zero(raw: Raw) -> None:
    """H2-02: a zero increment resets its stream; for the connection it is an error of the connection."""
    raw.send(headers(1), b"\0\0\4\x08\0\0\0\0\1\0\0\0\0")
    assert_reset(raw, 1, PROTOCOL_ERROR)
    raw.send(b"\0\0\4\x08\0\0\0\0\0\0\0\0\0")
    assert_ended(raw, PROTOCOL_ERROR, "bad_request")


def test_an_honest_rate_of_resets(raw: Raw, clock: Clock) -> None:
    """A client that cancels now and then for hours is no attacker."""
    for count in range(2000):
        number = 2 * count + 1
        raw.send(headers(number), RstStreamFrame(number, error_code=CANCEL))
        raw.connection.abort(number)
        clock.now += 0.1
    assert not raw.connection.closing


# -- H2-03 to H2-07, H2-16: header blocks ------------------------------------------------------------------


def test_continuation_flood(raw: Raw) -> None:
    """H2-03: ten CONTINUATION frames, empty ones included."""
    raw.send(HeadersFrame(1, data=block()))
    assert raw.connection.waiting is Waiting.HEAD
    assert until_closed(raw, lambda _: ContinuationFrame(1, b""), 20) == 11
    assert_ended(raw, CALM, "h2_continuation")


def test_long_header_block(connect: Any) -> None:
    """H2-03: 64 KiB encoded, in however few frames."""
    raw = Raw(connect())
    raw.send(HeadersFrame(1, data=block()))
    assert until_closed(raw, lambda _: ContinuationFrame(1, b"\0" * 16384), 20) == 4
    assert_ended(raw, CALM, "h2_continuation")


def test_header_block_that_stalls(raw: Raw) -> None:
    """H2-03: the header deadline is the driver's."""
    raw.send(HeadersFrame(1, data=block()))
    raw.events += raw.connection.expire()
    raw.flush()
    assert_ended(raw, CALM, "header_timeout")


def test_bomb_of_references(raw: Raw) -> None:
    """H2-04: one long field in the table, referred to thousands of times: counted while decoded, answered, lived."""
    insert = b"\x40\x01x" + b"\x7f\x81\x1e" + b"a" * 4000
    raw.send(HeadersFrame(1, data=block() + insert + b"\xbe" * 8000, flags=["END_HEADERS", "END_STREAM"]))
    assert gone(raw.events) == [(1, "h2_headers")]
    assert raw.sent(HeadersFrame)[0].stream_id == 1
    assert_alive(raw, 3)


@pytest.mark.parametrize("name", [b"x", b"cookie"])
def test_bomb_of_small_fields(raw: Raw, name: bytes) -> None:
    """H2-05: the number of fields is limited, and each crumb of a cookie is one."""
    insert = b"\x40" + bytes([len(name)]) + name + b"\x01a"
    events = raw.send(
        HeadersFrame(1, data=block() + insert + b"\xbe" * 98, flags=["END_HEADERS", "END_STREAM"])
    )
    assert [type(event) for event in events] == [Request]
    events = raw.send(HeadersFrame(3, data=block() + b"\xbe" * 101, flags=["END_HEADERS", "END_STREAM"]))
    assert gone(events) == [(3, "h2_headers")]
    assert b"\x08\x03431" in raw.sent(HeadersFrame)[0].data
    assert_alive(raw, 5)


def test_one_long_field(connect: Any) -> None:
    """The limit of a single field is HTTP/1's."""
    raw = Raw(connect(limits=Limits(field=100)))
    assert gone(raw.send(headers(1, [*GET, ("x", "y" * 100)]))) == [(1, "field_too_large")]
    assert gone(raw.send(headers(3, [*GET[:2], (":path", "/" + "y" * 9000), GET[3]]))) == [
        (3, "line_too_long")
    ]
    assert b"\x08\x03431" in raw.sent(HeadersFrame)[0].data
    assert b"\x08\x03414" in raw.sent(HeadersFrame)[1].data


@pytest.mark.parametrize(
    "encoded",
    [
        b"\xff" * 16000,
        b"\xc1" * 10,
        b"\x80",
        b"\x7f\xff\xff\xff\xff\xff\x7f",
        b"\x00\x85abc",
        b"\x3f\xe1\x20",
        b"\x00",
    ],
    ids=["0xff", "index", "zero", "integer", "text", "table", "short"],
)
def test_broken_compression(raw: Raw, encoded: bytes) -> None:
    """H2-06, H2-21: what cannot be decoded ends the connection, at the first octet that is wrong."""
    raw.send(HeadersFrame(1, data=encoded, flags=["END_HEADERS", "END_STREAM"]))
    assert_ended(raw, COMPRESSION_ERROR, "h2_hpack")


def literal(name: bytes, value: bytes) -> bytes:
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


@pytest.mark.parametrize(
    "field",
    [
        (b"", b"a"),
        (b"X-Up", b"a"),
        (b"x y", b"a"),
        (b"x\n", b"a"),
        (b"x", b"a\r\nb: c"),
        (b"x", b"a\0"),
        (b"x", b" a"),
        (b"x", b"a\t"),
        (b"connection", b"close"),
        (b"keep-alive", b"1"),
        (b"proxy-connection", b"close"),
        (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"h2c"),
        (b"te", b"gzip"),
        (b":path", b"/again"),
        (b":odd", b"x"),
        (b":status", b"200"),
    ],
)
def test_malformed_field(raw: Raw, field: tuple[bytes, bytes]) -> None:
    """H2-07, H2-16: the stream is reset, no request is seen, the connection lives."""
    events = raw.send(
        HeadersFrame(1, data=block() + literal(*field), flags=["END_HEADERS", "END_STREAM"]),
    )
    assert gone(events) == [(1, "bad_request")]
    assert len(events) == 1
    assert_reset(raw, 1, PROTOCOL_ERROR)
    assert_alive(raw, 3)


@pytest.mark.parametrize(
    "fields",
    [
        GET[1:],
        [GET[0], *GET[2:]],
        [*GET[:2], GET[3]],
        [*GET[:2], (":path", ""), GET[3]],
        [*GET[:2], (":path", "no-slash"), GET[3]],
        [*GET[:2], (":path", "*"), GET[3]],
        [*GET[:2], (":path", "/a b"), GET[3]],
        [*GET[:2], (":path", "/a#b"), GET[3]],
        [*GET[:2], (":path", "/\x80"), GET[3]],
        [("x", "y"), *GET],
        [*GET, GET[0]],
        [(":method", "G T"), *GET[1:]],
        [*GET, (":protocol", "websocket")],
        [(":method", "CONNECT"), *GET[1:]],
        [*GET, ("content-length", "5")],
        [*GET, ("content-length", "+0")],
        [(":method", "CONNECT"), *GET[1:], (":protocol", "websocket")],
    ],
)
def test_malformed_request(raw: Raw, fields: Any) -> None:
    """RFC 9113 sections 8.1.1, 8.3.1 and 8.5: reset, and not seen."""
    events = raw.send(headers(1, fields))
    assert gone(events) == [(1, "bad_request")]
    assert len(events) == 1
    assert_reset(raw, 1, PROTOCOL_ERROR)
    assert_alive(raw, 3)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([*GET[:3]], 400),
        ([*GET[:3], (":authority", "")], 400),
        ([*GET[:3], (":authority", "a@b")], 400),
        ([*GET, ("host", "other")], 400),
        ([*GET, ("host", "example.org"), ("host", "example.org")], 400),
        ([(":method", "get"), *GET[1:]], 400),
        ([*GET, ("expect", "miracles")], 417),
        ([(":method", "CONNECT"), GET[3]], 405),
        ([*GET, ("content-length", "0"), ("content-length", "0")], 400),
    ],
)
def test_refused_request(raw: Raw, fields: Any, status: int) -> None:
    """What is well formed and not wanted gets the answer that it gets over HTTP/1.1."""
    events = raw.send(headers(1, fields))
    assert [type(event) for event in events] == [Gone]
    assert b"\x08\x03%d" % status in raw.sent(HeadersFrame)[0].data or status == 400
    assert "END_STREAM" in raw.frames[-1].flags
    assert_alive(raw, 3)


# -- H2-08 to H2-11, H2-15, H2-17: frames that carry nothing -----------------------------------------------

CONTROL: dict[str, Any] = {
    "ping": lambda _: PingFrame(0, b"12345678"),
    "ping ack": lambda _: PingFrame(0, b"12345678", flags=["ACK"]),
    "settings": lambda _: SettingsFrame(0),
    "settings ack": lambda _: SettingsFrame(0, flags=["ACK"]),
    "window churn": lambda n: SettingsFrame(0, settings={4: 1000 + n % 2}),
    "priority": lambda n: PriorityFrame(2 * n + 1, depends_on=0, stream_weight=1),
    "priority update": lambda n: b"\0\0\7\x10\0\0\0\0\0" + (4 * n + 1).to_bytes(4, "big") + b"u=1",
    "unknown": lambda _: b"\0\0\0\x77\0\0\0\0\0",
    "empty data": lambda _: DataFrame(1, b""),
    "window for nothing": lambda _: WindowUpdateFrame(0, window_increment=1),
    "stream window for nothing": lambda _: WindowUpdateFrame(1, window_increment=1),
    "goaway": lambda _: GoAwayFrame(0),
}


@pytest.mark.parametrize("name", CONTROL)
def test_control_flood(raw: Raw, name: str) -> None:
    """H2-08, H2-10, H2-15, H2-17: a thousand at once; a gentle end is begun at three quarters of them."""
    raw.send(upload(1))
    count = until_closed(raw, CONTROL[name], 1100)
    assert 990 <= count <= 1002
    assert [frame.error_code for frame in raw.sent(GoAwayFrame)] == [NO_ERROR, CALM]
    assert_ended(raw, CALM, "h2_control_flood")


def test_control_frames_at_an_honest_rate(raw: Raw, clock: Clock) -> None:
    """A client that pings ten times a second is no attacker."""
    for _ in range(5000):
        raw.send(PingFrame(0, b"12345678"))
        raw.frames.clear()
        clock.now += 0.1
    assert not raw.connection.closing
    assert_alive(raw, 1)


def test_replies_that_nobody_fetches(connect: Any) -> None:
    """H2-08: however many are allowed, a thousand replies may wait."""
    connection = connect(max_control_frames=100000)
    Raw(connection)
    events = connection.receive(PingFrame(0, b"12345678").serialize() * 1001)
    assert gone(events) == [(None, "h2_queue")]
    assert connection.closing


def test_settings_entries(raw: Raw) -> None:
    """H2-09."""
    raw.send(SettingsFrame(0, settings={100 + n: 1 for n in range(33)}))
    assert_ended(raw, CALM, "h2_settings")


def test_window_churn_is_cheap(connect: Any) -> None:
    """H2-10: 900 changes over 100 open streams, and a request is served."""
    raw = Raw(connect())
    for number in range(1, 200, 2):
        raw.send(headers(number))
        answer(raw.connection, number, b"x" * 70000)
    for count in range(900):
        raw.connection.receive(SettingsFrame(0, settings={4: 1000 + count % 2}).serialize())
    assert not raw.connection.closing


@pytest.mark.parametrize(
    ("identifier", "value", "code"),
    [
        (2, 2, PROTOCOL_ERROR),
        (4, 2**31, FLOW_CONTROL_ERROR),
        (5, 0, PROTOCOL_ERROR),
        (5, 16383, PROTOCOL_ERROR),
        (5, 2**24, PROTOCOL_ERROR),
        (8, 2, PROTOCOL_ERROR),
    ],
)
def test_settings_out_of_range(raw: Raw, identifier: int, value: int, code: int) -> None:
    """H2-11."""
    raw.send(b"\0\0\6\4\0\0\0\0\0" + identifier.to_bytes(2, "big") + value.to_bytes(4, "big"))
    assert raw.sent(GoAwayFrame)[-1].error_code == code
    assert raw.connection.closing


def test_settings_never_acknowledged(clock: Clock) -> None:
    """Ten seconds, looked at when something comes."""
    raw = Raw(open_connection(opening(clock)), greet=False)
    raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SettingsFrame(0))
    clock.now += 11
    raw.send(PingFrame(0, b"12345678"))
    assert_ended(raw, SETTINGS_TIMEOUT, "h2_settings")


# -- H2-12 to H2-14, H2-19, H2-20: windows -----------------------------------------------------------------


def test_tiny_windows_do_not_hold_a_stream(connect: Any, clock: Clock) -> None:
    """H2-12: an answer that moves an octet at a time is given up after the deadline."""
    raw = Raw(connect(), settings={4: 1})
    raw.send(headers(1))
    raw.connection.start(1, 200, [])
    raw.connection.data(1, b"x" * 100000)
    raw.flush()
    assert raw.connection.waiting is Waiting.BODY
    for _ in range(40):
        clock.now += 1
        raw.send(WindowUpdateFrame(1, window_increment=1))
        if raw.sent(RstStreamFrame):
            break
    assert 29 <= clock.now - 1000 <= 33
    assert_reset(raw, 1, CANCEL)
    assert (1, "write_slow") in gone(raw.events)
    raw.connection.abort(1)
    raw.connection.receive(WindowUpdateFrame(3, window_increment=1).serialize())


def test_shut_window_and_silence(connect: Any, clock: Clock) -> None:
    """H2-12: a silent peer with a shut window: the driver's deadline finds it."""
    raw = Raw(connect(), settings={4: 0})
    raw.send(headers(1))
    answer(raw.connection, 1)
    raw.flush()
    assert raw.connection.waiting is Waiting.BODY
    assert list(raw.connection.expire()) == []
    clock.now += 31
    raw.connection.expire()
    raw.flush()
    assert_reset(raw, 1, CANCEL)
    assert raw.connection.waiting is Waiting.IDLE


def test_stalled_upload_beside_a_lively_one(raw: Raw, clock: Clock) -> None:
    """A stalled stream is found though the connection is busy."""
    raw.send(upload(1), upload(3))
    for _ in range(33):
        clock.now += 1
        raw.send(DataFrame(3, b"x" * 1000))
        raw.connection.taken(3, 1000)
    assert gone(raw.events) == [(1, "body_slow")]
    assert b"\x08\x03408" in raw.sent(HeadersFrame)[0].data


def test_window_overflow(raw: Raw) -> None:
    """H2-13."""
    raw.send(headers(1), WindowUpdateFrame(1, window_increment=2**31 - 1))
    assert_reset(raw, 1, FLOW_CONTROL_ERROR)
    assert (1, "h2_flow") in gone(raw.events)
    raw.send(WindowUpdateFrame(0, window_increment=2**31 - 1))
    assert_ended(raw, FLOW_CONTROL_ERROR, "h2_flow")


def test_overflow_by_settings(raw: Raw) -> None:
    """H2-13: a changed initial window moves the windows of open streams, and may not overflow them."""
    raw.send(headers(1), WindowUpdateFrame(1, window_increment=2**31 - 1 - 65535))
    raw.send(SettingsFrame(0, settings={4: 65536}))
    assert_ended(raw, FLOW_CONTROL_ERROR, "h2_flow")


def test_more_than_the_stream_window(connect: Any) -> None:
    """The stream's window is held to."""
    raw = Raw(connect(initial_window_size=1000))
    raw.send(upload(1), DataFrame(1, b"x" * 1000), DataFrame(1, b"x"))
    assert_reset(raw, 1, FLOW_CONTROL_ERROR)
    assert_alive(raw, 3)


def test_more_than_the_connection_window(connect: Any) -> None:
    """So is the connection's."""
    raw = Raw(connect(initial_window_size=1 << 20, connection_window_size=65535))
    raw.send(upload(1))
    for _ in range(4):
        raw.send(DataFrame(1, b"x" * 16000))
    raw.send(DataFrame(1, b"x" * 2000))
    assert_ended(raw, FLOW_CONTROL_ERROR, "h2_flow")


def test_answers_wait_for_windows(connect: Any) -> None:
    """H2-14, H2-19: what may not go out stays in `backlog`, for the application to wait."""
    raw = Raw(connect())
    raw.send(headers(1))
    raw.connection.start(1, 200, [])
    raw.connection.data(1, b"x" * 100000)
    raw.flush()
    assert raw.connection.backlog(1) == 100000 - 65535
    assert raw.connection.reading


def test_credit_of_reset_uploads(raw: Raw, clock: Clock) -> None:
    """H2-20: a thousand uploads reset half-way, then ten megabytes."""
    number = 1
    for _ in range(1000):
        raw.send(upload(number), DataFrame(number, b"x" * 10000), RstStreamFrame(number, error_code=CANCEL))
        raw.connection.abort(number)
        raw.frames.clear()
        number += 2
        clock.now += 0.1
    raw.send(upload(number))
    for _ in range(1000):
        raw.send(DataFrame(number, b"x" * 10000))
        raw.connection.taken(number, 10000)
    events = raw.send(DataFrame(number, b"", flags=["END_STREAM"]))
    assert [type(event) for event in events] == [End]
    assert not raw.connection.closing


def test_credit_of_refused_and_late_data(connect: Any, clock: Clock) -> None:
    """H2-20: octets that nobody gets are credited at once."""
    raw = Raw(connect(connection_window_size=65535, initial_window_size=65535))
    raw.send(headers(1))
    raw.connection.abort(1)
    raw.flush()
    for _ in range(100):
        raw.send(DataFrame(1, b"x" * 10000))
    assert not raw.connection.closing


# -- H2-21: frames where they do not belong ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([DataFrame(1, b"x")], PROTOCOL_ERROR),
        ([b"\0\0\1\0\0\0\0\0\0x"], PROTOCOL_ERROR),
        ([RstStreamFrame(1)], PROTOCOL_ERROR),
        ([WindowUpdateFrame(1, window_increment=1)], PROTOCOL_ERROR),
        ([headers(2)], PROTOCOL_ERROR),
        ([b"\0\0\0\1\5\0\0\0\0"], PROTOCOL_ERROR),
        ([headers(5), headers(3)], PROTOCOL_ERROR),
        ([PushPromiseFrame(1, 2, data=block(), flags=["END_HEADERS"])], PROTOCOL_ERROR),
        ([ContinuationFrame(1, block(), flags=["END_HEADERS"])], PROTOCOL_ERROR),
        ([HeadersFrame(1, data=block()), DataFrame(1, b"x")], PROTOCOL_ERROR),
        ([HeadersFrame(1, data=block()), headers(3)], PROTOCOL_ERROR),
        ([HeadersFrame(1, data=block()), ContinuationFrame(3, b"")], PROTOCOL_ERROR),
        ([HeadersFrame(1, data=block()), b"\0\0\0\x77\0\0\0\0\0"], PROTOCOL_ERROR),
        ([b"\0\x40\1\0\0\0\0\0\1" + b"x" * 16385], FRAME_SIZE_ERROR),
        ([b"\0\0\5\4\0\0\0\0\0aaaaa"], FRAME_SIZE_ERROR),
        ([b"\0\0\6\4\1\0\0\0\0aaaaaa"], FRAME_SIZE_ERROR),
        ([b"\0\0\0\4\0\0\0\0\1"], PROTOCOL_ERROR),
        ([b"\0\0\7\6\0\0\0\0\0aaaaaaa"], FRAME_SIZE_ERROR),
        ([b"\0\0\x08\6\0\0\0\0\1aaaaaaaa"], PROTOCOL_ERROR),
        ([headers(1), b"\0\0\3\3\0\0\0\0\1aaa"], FRAME_SIZE_ERROR),
        ([headers(1), b"\0\0\3\x08\0\0\0\0\1aaa"], FRAME_SIZE_ERROR),
        ([b"\0\0\5\2\0\0\0\0\0aaaaa"], PROTOCOL_ERROR),
        ([b"\0\0\4\2\0\0\0\0\1aaaa"], FRAME_SIZE_ERROR),
        ([b"\0\0\4\7\0\0\0\0\0aaaa"], FRAME_SIZE_ERROR),
        ([b"\0\0\x08\7\0\0\0\0\1aaaaaaaa"], PROTOCOL_ERROR),
        ([b"\0\0\3\x10\0\0\0\0\0aaa"], FRAME_SIZE_ERROR),
        ([b"\0\0\4\x10\0\0\0\0\1\0\0\0\1"], PROTOCOL_ERROR),
        ([b"\0\0\4\x10\0\0\0\0\0\0\0\0\2"], PROTOCOL_ERROR),
        ([upload(1), b"\0\0\2\0\x08\0\0\0\1\2x"], PROTOCOL_ERROR),
        ([b"\0\0\2\1\x2c\0\0\0\1\0x"], FRAME_SIZE_ERROR),
    ],
)
def test_misplaced_frames(raw: Raw, frames: list[Any], code: int) -> None:
    """H2-21: errors of the connection, with the RFC's codes."""
    raw.send(*frames)
    assert raw.sent(GoAwayFrame)[-1].error_code == code
    assert raw.connection.closing


def test_headers_on_a_closed_stream(raw: Raw) -> None:
    """H2-21: a stream that both sides ended."""
    assert_alive(raw, 1)
    raw.send(headers(1))
    assert raw.sent(GoAwayFrame)[-1].error_code == STREAM_CLOSED


def test_data_on_a_closed_stream(raw: Raw) -> None:
    assert_alive(raw, 1)
    raw.send(DataFrame(1, b"x"))
    assert_reset(raw, 1, STREAM_CLOSED)


def test_frames_that_crossed_our_reset(raw: Raw) -> None:
    """They were sent before the peer knew: no error."""
    raw.send(upload(1))
    raw.connection.abort(1)
    raw.flush()
    raw.send(
        DataFrame(1, b"x" * 1000),
        headers(1, [("x", "y")]),
        RstStreamFrame(1),
        WindowUpdateFrame(1, window_increment=9),
    )
    assert_reset(raw, 1, INTERNAL_ERROR)
    assert_alive(raw, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSX",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\1\0\0\0\0",
    ],
)
def test_no_preface(clock: Clock, data: bytes) -> None:
    raw = Raw(open_connection(opening(clock)), greet=False)
    raw.feed(data)
    assert_ended(raw, PROTOCOL_ERROR, "bad_request")


# -- H2-22, H2-23 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [[b"12345678901"], [b"123456789"], []])
def test_body_and_content_length_disagree(raw: Raw, blocks: list[bytes]) -> None:
    """H2-22: an error of the stream that the application sees; other streams live."""
    raw.send(headers(1, [*POST, ("content-length", "10")], end=False))
    for each in blocks:
        raw.send(DataFrame(1, each))
    raw.send(DataFrame(1, b"", flags=["END_STREAM"]))
    assert gone(raw.events) == [(1, "bad_request")]
    assert raw.sent(RstStreamFrame)[0].error_code == PROTOCOL_ERROR
    raw.connection.abort(1)
    assert_alive(raw, 3)


def test_body_over_the_limit(connect: Any) -> None:
    """Declared or not, a body over the limit is answered 413, and the rest of it is not waited for."""
    raw = Raw(connect(limits=Limits(body=1000)))
    raw.send(headers(1, [*POST, ("content-length", "1001")], end=False))
    raw.send(upload(3), DataFrame(3, b"x" * 1001))
    assert gone(raw.events) == [(1, "body_too_large"), (3, "body_too_large")]
    for number in (1, 3):
        head = next(frame for frame in raw.sent(HeadersFrame) if frame.stream_id == number)
        assert b"\x08\x03413" in head.data
        assert_reset(raw, number, NO_ERROR)
    raw.connection.abort(3)
    assert_alive(raw, 5)


def test_too_many_streams(connect: Any) -> None:
    """H2-23: the excess is refused, the rest served; endless excess ends the connection."""
    raw = Raw(connect(max_concurrent_streams=3))
    for number in (1, 3, 5, 7):
        raw.send(headers(number))
    assert_reset(raw, 7, REFUSED_STREAM)
    assert (7, "h2_streams") in gone(raw.events)
    answer(raw.connection, 1)
    raw.flush()
    assert_alive(raw, 9)
    raw.send(headers(11))
    assert until_closed(raw, lambda n: headers(13 + 2 * n), 200) == 100
    assert_ended(raw, CALM, "h2_streams")


def test_memory_of_a_connection(connect: Any) -> None:
    """H2-18: thousands of different requests leave nothing behind."""
    raw = Raw(connect())
    session = raw.connection._session
    for count in range(3000):
        raw.connection.receive(headers(2 * count + 1, [*GET, ("x", str(count) * 100)]).serialize())
        answer(raw.connection, 2 * count + 1)
        raw.connection.outgoing()
    assert not session.streams
    assert len(session.recent) <= 256
    assert len(session.decoder._known) <= 32
    assert not session.sender._ready
    assert not session.sender._blocked


def test_a_healthy_client_beside(connect: Any) -> None:
    """Whatever happens on one connection, another of the same listener is served."""
    shared: dict[str, Any] = {}
    bad = Raw(connect(shared=shared))
    good = Client(connect(shared=shared))
    until_closed(bad, CONTROL["ping"], 1100)
    stream = good.request()
    answer(good.connection, stream)
    good.exchange()
    assert good.response(stream)[1] == b"ok"


def test_data_events_carry_what_was_sent(raw: Raw) -> None:
    """Padding is no body, and its credit comes back."""
    events = raw.send(upload(1), DataFrame(1, b"abc", pad_length=200, flags=["PADDED", "END_STREAM"]))
    assert [event.block for event in events if isinstance(event, Data)] == [b"abc"]
    assert isinstance(events[-1], End)


def test_every_frame_byte_by_byte(clock: Clock) -> None:
    """However bytes are split, the same events come."""
    parts: list[Frame | bytes] = [
        SettingsFrame(0, settings={3: 5}),
        SettingsFrame(0, flags=["ACK"]),
        headers(1, [*GET, ("cookie", "a=1"), ("cookie", "b=2")]),
        HeadersFrame(3, data=block(POST)[:10]),
        ContinuationFrame(3, block(POST)[10:], flags=["END_HEADERS"]),
        DataFrame(3, b"x" * 100),
        PingFrame(0, b"12345678"),
        headers(3, [("x-trailer", "1")]),
        WindowUpdateFrame(0, window_increment=5),
    ]
    data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"".join(
        part if isinstance(part, bytes) else part.serialize() for part in parts
    )
    whole = Raw(open_connection(opening(clock)), greet=False)
    pieces = Raw(open_connection(opening(clock)), greet=False)
    whole.feed(data)
    for position in range(len(data)):
        pieces.feed(data[position : position + 1])
    assert list(map(repr, whole.events)) == list(map(repr, pieces.events))
    assert [frame.serialize() for frame in whole.frames] == [frame.serialize() for frame in pieces.frames]
    assert (b"cookie", b"a=1; b=2") in whole.events[0].head.headers
