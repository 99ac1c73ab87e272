"""Any sequence of frames, valid or broken, and any pace of the application: the invariants of a connection hold."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from frame_peers import GET, POST, PREFACE, Clock, Raw, opening
from hostler.plugin import Data, End, Gone, Limits, Request, Waiting
from hostler_http2._connection import open_connection
from hostler_http2._hpack import encode
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

PADDING = st.sampled_from([0, 50])
MAX_STREAMS, WINDOW, CONNECTION_WINDOW = 4, 2000, 65535


def block(pairs: Any) -> bytes:
    return encode([(name.encode(), value.encode()) for name, value in pairs])


ODD = [("content-length", "10"), ("X", "y"), ("te", "x"), ("priority", "u=1, i")]


class Service(RuleBasedStateMachine):
    """A peer that sends what it likes, an application that answers when it likes."""

    streams = Bundle("streams")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.connection = open_connection(
            opening(
                self.clock,
                limits=Limits(body=5000),
                max_concurrent_streams=MAX_STREAMS,
                initial_window_size=WINDOW,
                connection_window_size=CONNECTION_WINDOW,
                tunnels=True,
            )
        )
        self.raw = Raw(self.connection, greet=False)
        self.session = self.connection._session
        self.next = 1
        self.running: set[int] = set()
        """Requests whose application has neither ended nor aborted."""
        self.started: set[int] = set()
        self.told_end: dict[int, int] = {}
        self.untaken: dict[int, int] = {}
        self.broken = False
        self.wild = False
        """Frames that end the connection are sent as well."""

    @initialize(window=st.sampled_from([0, 1, 100, 65535, 1 << 20]), wild=st.booleans())
    def greet(self, window: int, wild: bool) -> None:
        self.wild = wild
        self.send(PREFACE, SettingsFrame(0, settings={4: window}), SettingsFrame(0, flags=["ACK"]))

    def send(self, *parts: Any) -> None:
        self.watch(self.raw.send(*parts))

    def watch(self, events: Any) -> None:
        """What the driver is told makes sense."""
        for event in events:
            assert not self.broken, f"{event} after the end"
            number = event.stream
            if isinstance(event, Request):
                assert number not in self.told_end
                self.told_end[number] = int(event.ended)
                self.running.add(number)
                self.untaken[number] = 0
            elif isinstance(event, Data):
                assert self.told_end[number] == 0
                assert number in self.running
                self.untaken[number] += len(event.block)
            elif isinstance(event, End):
                assert self.told_end[number] == 0
                self.told_end[number] = 1
            elif isinstance(event, Gone) and number is None:
                self.broken = True
            elif number in self.told_end:
                assert self.told_end[number] < 2, "gone twice"
                self.told_end[number] = 2

    # -- the peer ------------------------------------------------------------------------------------------

    @rule(target=streams, post=st.booleans(), ended=st.booleans(), split=st.booleans())
    def open(self, post: bool, ended: bool, split: bool) -> Any:
        number, self.next = self.next, self.next + 2
        data = block(POST if post else GET)
        flags = ["END_STREAM"] if ended else []
        if split:
            self.send(HeadersFrame(number, data=data[:5], flags=flags))
            self.send(ContinuationFrame(number, data[5:], flags=["END_HEADERS"]))
        else:
            self.send(HeadersFrame(number, data=data, flags=["END_HEADERS", *flags]))
        return number

    @rule(
        target=streams,
        extra=st.sampled_from(ODD),
    )
    def open_odd(self, extra: tuple[str, str]) -> Any:
        number, self.next = self.next, self.next + 2
        self.send(HeadersFrame(number, data=block([*POST, extra]), flags=["END_HEADERS"]))
        return number

    @rule(target=streams)
    def open_tunnel(self) -> Any:
        number, self.next = self.next, self.next + 2
        fields = [(":method", "CONNECT"), *GET[1:], (":protocol", "websocket")]
        self.send(HeadersFrame(number, data=block(fields), flags=["END_HEADERS"]))
        return multiple(number)

    @rule(
        number=streams,
        size=st.sampled_from([0, 1, 10, 999, 2001]),
        ended=st.booleans(),
        pad=st.sampled_from([0, 50]),
    )
    def upload(self, number: int, size: int, ended: bool, pad: int) -> None:
        flags = ["END_STREAM"] if ended else []
        if pad:
            flags.append("PADDED")
        self.send(DataFrame(number, bytes(size), pad_length=pad, flags=flags))

    @rule(number=streams)
    def trailers(self, number: int) -> None:
        self.send(HeadersFrame(number, data=block([("x-t", "1")]), flags=["END_HEADERS", "END_STREAM"]))

    @rule(number=streams)
    def cancel(self, number: int) -> None:
        self.send(RstStreamFrame(number, error_code=8))

    @rule(number=st.one_of(st.just(0), streams), size=st.sampled_from([0, 1, 1000, 100000, 2**31 - 1]))
    def widen(self, number: int, size: int) -> None:
        self.send(b"\0\0\4\x08\0" + number.to_bytes(4, "big") + size.to_bytes(4, "big"))

    @rule(window=st.sampled_from([0, 1, 500, 65535]))
    def change_windows(self, window: int) -> None:
        self.send(SettingsFrame(0, settings={4: window}))

    @rule(number=streams)
    def prioritise(self, number: int) -> None:
        self.send(PriorityFrame(number, depends_on=number, stream_weight=3))
        self.send(b"\0\0\7\x10\0\0\0\0\0" + number.to_bytes(4, "big") + b"u=2")

    @rule(ack=st.booleans(), payload=st.sampled_from([b"12345678", b"draining"]))
    def ping(self, ack: bool, payload: bytes) -> None:
        self.send(PingFrame(0, payload, flags=["ACK"] if ack else []))

    @precondition(lambda self: self.wild)
    @rule()
    def goodbye(self) -> None:
        self.send(GoAwayFrame(0))

    @precondition(lambda self: self.wild)
    @rule(
        frame=st.builds(
            HeadersFrame, st.integers(1, 9), data=st.binary(max_size=30), flags=st.just(["END_HEADERS"])
        ),
        keep=st.booleans(),
    )
    def broken_block(self, frame: HeadersFrame, keep: bool) -> None:
        if keep:
            frame.stream_id = self.next
            self.next += 2
        self.send(frame)

    @precondition(lambda self: self.wild)
    @rule(
        kind=st.integers(0, 18),
        flags=st.integers(0, 255),
        number=st.integers(0, 12),
        payload=st.binary(max_size=40),
    )
    def any_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        self.send(
            len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big") + payload
        )

    @precondition(lambda self: self.wild)
    @rule()
    def oversized(self) -> None:
        self.send(b"\0\x40\1\0\0\0\0\0\1")

    @precondition(lambda self: self.wild)
    @rule()
    def hang_up(self) -> None:
        self.watch(self.raw.feed(b""))

    # -- the application and the driver --------------------------------------------------------------------

    @rule(number=streams, status=st.sampled_from([200, 204, 304]), length=st.sampled_from([None, 0, 10]))
    def start(self, number: int, status: int, length: int | None) -> None:
        if number in self.running and number not in self.started:
            self.started.add(number)
            self.connection.start(number, status, [(b"x", b"y")], length=length)
            self.flush()

    @rule(number=streams)
    def tunnel(self, number: int) -> None:
        stream = self.session.streams.get(number)
        if stream and stream.head.upgrade and number in self.running and number not in self.started:
            self.started.add(number)
            self.connection.tunnel(number, [])
            self.flush()

    @rule(number=streams, size=st.sampled_from([0, 1, 10, 5000]))
    def write(self, number: int, size: int) -> None:
        if number in self.running and number in self.started:
            self.connection.data(number, bytes(size))
            self.flush()

    @rule(number=streams, trailers=st.sampled_from([(), ((b"a", b"b"),)]))
    def end(self, number: int, trailers: Any) -> None:
        if number in self.running and number in self.started:
            self.connection.end(number, trailers)
            self.running.discard(number)
            self.flush()

    @rule(number=streams)
    def abort(self, number: int) -> None:
        if number in self.running:
            self.connection.abort(number)
            self.running.discard(number)
            self.flush()

    @rule(number=streams)
    def take(self, number: int) -> None:
        count = self.untaken.get(number, 0)
        if count:
            self.untaken[number] = 0
            self.connection.taken(number, count)
            self.flush()

    @rule(seconds=st.sampled_from([0.5, 2.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def expire(self) -> None:
        if self.connection.waiting is not Waiting.NOTHING and not self.connection.closing:
            self.watch(self.connection.expire())
            self.flush()

    @rule()
    def drain(self) -> None:
        self.connection.drain()
        self.flush()

    def flush(self) -> None:
        self.raw.flush()
        while self.connection.held:
            self.watch(self.connection.resume())
            self.raw.flush()

    # -- what always holds ---------------------------------------------------------------------------------

    @invariant()
    def slots(self) -> None:
        """Requests in service and streams are at most as many as allowed, and slots come back."""
        assert len(self.session.streams) <= MAX_STREAMS
        assert len(self.running) <= MAX_STREAMS
        if not self.connection.closing:
            kept = {number for number, stream in self.session.streams.items() if not stream.done}
            assert kept == self.running

    @invariant()
    def credit(self) -> None:
        """What the peer may send, what it is owed and what nobody has taken make up the window, always."""
        if not self.connection.closing:
            untaken = sum(stream.untaken for stream in self.session.streams.values())
            assert self.session.credit + self.session.owed + untaken == CONNECTION_WINDOW

    @invariant()
    def windows(self) -> None:
        """Nothing goes out beyond a window; what is blocked is in service and has something to send."""
        sender = self.session.sender
        assert sender.window >= 0
        assert not sender._ready
        for stream in sender.blocked:
            assert stream.backlog
            assert not stream.closed
            assert self.session.streams[stream.number] is stream

    @invariant()
    def frames(self) -> None:
        """On each stream at most one end, and nothing behind it but a reset."""
        ended: set[int] = set()
        for frame in self.raw.frames:
            number = frame.stream_id
            if not number or isinstance(frame, WindowUpdateFrame):
                continue
            if isinstance(frame, RstStreamFrame):
                ended.add(number)
                continue
            assert number not in ended
            if "END_STREAM" in frame.flags:
                ended.add(number)

    @invariant()
    def memory(self) -> None:
        """What a connection keeps is bounded."""
        assert len(self.session.recent) <= 256
        assert len(self.session.foretold._kept) <= 32
        assert len(self.session.frames._kept) <= 16384 + 9


TestService = Service.TestCase
TestService.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
