"""A client of the h2 library over a real socket."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded


class Peer:
    """One connection; `events` is everything that was received."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext) -> None:
        raw = socket.create_connection(address, timeout=20)
        self.socket = context.wrap_socket(raw, server_hostname="localhost")
        self.h2 = H2Connection(H2Configuration(header_encoding="latin-1"))
        self.events: list[Event] = []
        self.h2.initiate_connection()
        self.flush()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        """Send what is due."""
        self.socket.sendall(self.h2.data_to_send())

    def request(self, path: str, *, method: str = "GET", end: bool = True, fields: Any = ()) -> int:
        """Open a stream; returns its number."""
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":path", path), (":authority", "localhost")]
        self.h2.send_headers(stream, [*head, *fields], end_stream=end)
        self.flush()
        return stream

    def until(self, kind: type[Event], stream: int | None = None, *, credit: bool = True) -> Any:
        """Read until an event of this type has come, on this stream if one is named."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                    return event
            seen = len(self.events)
            data = self.socket.recv(65536)
            assert data, f"closed; had {self.events}"
            for event in self.h2.receive_data(data):
                self.events.append(event)
                if credit and isinstance(event, DataReceived) and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.flush()

    def answer(self, stream: int) -> tuple[int, bytes]:
        """Status and body of a whole answer."""
        self.until(StreamEnded, stream)
        mine = [event for event in self.events if getattr(event, "stream_id", None) == stream]
        head = next(event for event in mine if isinstance(event, ResponseReceived))
        body = b"".join(event.data for event in mine if isinstance(event, DataReceived))
        return int(dict(head.headers)[":status"]), body
