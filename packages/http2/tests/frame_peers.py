"""A client peer made of the h2 library, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from hostler.plugin import Data, Event, Limits, Opening, Policy, Transport
from hostler_http2 import Http2Settings
from hostler_http2._connection import Connection
from hyperframe.frame import Frame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "example.org")]
POST = [(":method", "POST"), (":scheme", "https"), (":path", "/up"), (":authority", "example.org")]


class Clock:
    """Monotonic seconds that stand still until a test moves them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def opening(clock: Clock | None = None, **own: Any) -> Opening:
    """An opening over TLS; what it has no field for becomes a setting."""
    given = {
        name: own.pop(name)
        for name in ("limits", "policy", "tunnels", "max_requests", "keepalive", "transport", "shared")
        if name in own
    }
    transport = given.pop(
        "transport", Transport(("192.0.2.1", 4711), ("192.0.2.2", 443), secure=True, protocol="h2")
    )
    shared = given.pop("shared", {})
    shared.setdefault("clock", clock or Clock())
    return Opening(
        transport,
        given.pop("limits", Limits()),
        given.pop("policy", Policy()),
        settings=Http2Settings(**own),
        shared=shared,
        **given,
    )


class Raw:
    """A peer of frames: sends bytes, and reads what the connection writes."""

    def __init__(
        self, connection: Connection, greet: bool = True, settings: dict[int, int] | None = None
    ) -> None:
        self.connection = connection
        self.events: list[Event] = []
        self.frames: list[Frame] = []
        if greet:
            self.send(PREFACE, SettingsFrame(0, settings=settings or {}), SettingsFrame(0, flags=["ACK"]))
            self.frames.clear()
            self.events.clear()

    def send(self, *parts: bytes | Frame) -> list[Event]:
        """Frames or bytes to the connection; returns its events and collects its frames."""
        data = b"".join(part if isinstance(part, bytes) else part.serialize() for part in parts)
        return self.feed(data)

    def feed(self, data: bytes) -> list[Event]:
        """Bytes to the connection."""
        events = list(self.connection.receive(data))
        self.flush()
        while self.connection.held:
            events += self.connection.resume()
            self.flush()
        self.events += events
        return events

    def flush(self) -> list[Frame]:
        """Parse what the connection has to say."""
        data = b"".join(self.connection.outgoing())
        frames = []
        while data:
            frame, length = Frame.parse_frame_header(memoryview(data[:9]))
            frame.parse_body(memoryview(data[9 : 9 + length]))
            frames.append(frame)
            data = data[9 + length :]
        self.frames += frames
        return frames

    def sent(self, kind: type[Frame]) -> list[Any]:
        """Frames of one type that came so far."""
        return [frame for frame in self.frames if type(frame) is kind]


class Client:
    """A whole client: the h2 library over a connection."""

    def __init__(self, connection: Connection, **config: Any) -> None:
        self.connection = connection
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None, **config))
        self.h2.initiate_connection()
        self.events: list[Event] = []
        self.told: list[Any] = []
        self.exchange()

    def exchange(self) -> list[Event]:
        """Carry bytes both ways until neither has anything to say."""
        fresh: list[Event] = []
        while True:
            data = self.h2.data_to_send()
            if data:
                fresh += self.connection.receive(data)
            while self.connection.held:
                fresh += self.connection.resume()
            out = b"".join(self.connection.outgoing())
            if out:
                self.told += self.h2.receive_data(out)
            if not data and not out and not self.connection.held:
                break
        self.events += fresh
        return fresh

    def request(
        self, headers: Sequence[tuple[str, str]] = GET, body: bytes = b"", trailers: Any = None
    ) -> int:
        """Send a whole request; returns its stream."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, headers, end_stream=not body and trailers is None)
        if body:
            self.upload(stream, body, end=trailers is None)
        if trailers is not None:
            self.h2.send_headers(stream, trailers, end_stream=True)
        self.exchange()
        return stream

    def upload(self, stream: int, body: bytes, end: bool) -> None:
        """Send a body as the windows allow; the application takes it at once."""
        view = memoryview(body)
        while view:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(view))
            assert room > 0, "no credit came back"
            self.h2.send_data(stream, bytes(view[:room]), end_stream=end and room == len(view))
            view = view[room:]
            for event in self.exchange():
                if isinstance(event, Data):
                    self.connection.taken(event.stream, len(event.block))
            self.exchange()

    def response(self, stream: int) -> tuple[dict[bytes, bytes], bytes, dict[bytes, bytes] | None]:
        """Headers, body and trailers that the client has received."""
        headers, body, trailers = {}, b"", None
        for event in self.told:
            if getattr(event, "stream_id", None) != stream:
                continue
            name = type(event).__name__
            if name == "ResponseReceived":
                headers = dict(event.headers)
            elif name == "DataReceived":
                body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            elif name == "TrailersReceived":
                trailers = dict(event.headers)
        return headers, body, trailers

    def names(self, stream: int) -> list[str]:
        """What happened to a stream, by the names of h2's events."""
        return [type(event).__name__ for event in self.told if getattr(event, "stream_id", None) == stream]
