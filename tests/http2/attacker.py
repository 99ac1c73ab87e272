"""A client that breaks the rules on purpose: frames as octets over a real socket, and what came back."""

from __future__ import annotations

import socket
import ssl
import struct
from collections import Counter
from collections.abc import Iterable, Iterator

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
END_STREAM = ACK = 1
END_HEADERS = 4
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 0, 1, 3, 5, 6
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CALM = 7, 8, 9, 11
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
RECORD = 16000
"""What is sent at once fits into one TLS record, which a server reads whole before it answers."""
Frame = tuple[int, int, int, bytes]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def settings(**entries: int) -> bytes:
    """A SETTINGS frame of `s4=0`, which is entry 4 with value 0."""
    return frame(
        SETTINGS, 0, 0, b"".join(struct.pack(">HI", int(name[1:]), value) for name, value in entries.items())
    )


def literal(name: bytes, value: bytes) -> bytes:
    """A field that no table has (RFC 7541 section 6.2.2)."""
    return b"\0" + _text(name) + _text(value)


def _text(text: bytes) -> bytes:
    if len(text) < 127:
        return bytes((len(text),)) + text
    octets, rest = bytearray(b"\x7f"), len(text) - 127
    while rest >= 128:
        octets.append(rest & 127 | 128)
        rest >>= 7
    octets.append(rest)
    return bytes(octets) + text


def head(path: bytes = b"/", method: bytes = b"GET") -> bytes:
    """The block of a request."""
    return (
        b"\x87" + literal(b":method", method) + literal(b":path", path) + literal(b":authority", b"localhost")
    )


def request(
    stream: int, block: bytes = b"", *, end: bool = True, path: bytes = b"/", method: bytes = b"GET"
) -> bytes:
    """HEADERS of a request; `block`: further fields, encoded."""
    flags = END_HEADERS | (END_STREAM if end else 0)
    return frame(HEADERS, flags, stream, head(path, method) + block)


def reset(stream: int) -> bytes:
    """RST_STREAM with CANCEL."""
    return frame(RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big"))


def window(stream: int, increment: int) -> bytes:
    """WINDOW_UPDATE."""
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


class Attacker:
    """One connection; `frames` is what came back so far."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, greeting: bytes = b"") -> None:
        raw = socket.create_connection(address, timeout=30)
        self.socket = context.wrap_socket(raw, server_hostname="localhost")
        self.frames: list[Frame] = []
        self.open = True
        self._pings = 0
        self._credit: Counter[int] = Counter()
        self._rest = b""
        self.send(PREFACE + (greeting or settings()) + frame(SETTINGS, ACK, 0))

    def __enter__(self) -> Attacker:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Octets, while the server takes them."""
        try:
            self.socket.sendall(data)
        except OSError:
            self.open = False

    def receive(self) -> bool:
        """Take what comes next; False at the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise
        except OSError:
            data = b""
        if not data:
            self.open = False
            return False
        self._rest += data
        while len(self._rest) >= 9:
            length = int.from_bytes(self._rest[:3], "big")
            if len(self._rest) < 9 + length:
                break
            kind, flags = self._rest[3:5]
            stream, payload = int.from_bytes(self._rest[5:9], "big"), self._rest[9 : 9 + length]
            self._rest = self._rest[9 + length :]
            self.frames.append((kind, flags, stream, payload))
            if kind == WINDOW_UPDATE:
                self._credit[stream] += int.from_bytes(payload, "big")
        return True

    def round(self, data: bytes) -> bool:
        """Send octets and a PING, and wait for its answer: nothing is under way then. False when it is over."""
        self._pings += 1
        mark = b"r%07d" % self._pings
        self.send(data + frame(PING, 0, 0, mark))
        while (PING, ACK, 0, mark) not in self.frames[-3000:]:
            if not self.receive():
                return False
        return True

    def flood(self, frames: Iterable[bytes]) -> None:
        """Send one after the other until there are no more, or the connection is over."""
        for record in _records(frames):
            if not self.round(record):
                return

    def until_closed(self) -> None:
        """Take everything up to the end of the connection."""
        while self.receive():
            continue

    def goaways(self) -> list[int]:
        """Codes of all GOAWAY frames."""
        return [int.from_bytes(payload[4:8], "big") for kind, _, _, payload in self.frames if kind == GOAWAY]

    def resets(self) -> dict[int, int]:
        """Stream -> the code of its RST_STREAM."""
        return {
            stream: int.from_bytes(payload, "big")
            for kind, _, stream, payload in self.frames
            if kind == RST_STREAM
        }

    def statuses(self) -> dict[int, bytes]:
        """Stream -> the block of its answer."""
        return {stream: payload for kind, _, stream, payload in self.frames if kind == HEADERS}

    def credit(self, stream: int) -> int:
        """Octets that might be sent on a stream, or 0: on all, since the connection began."""
        return 65535 + self._credit[stream]

    def wait(self, stream: int) -> None:
        """Until this stream has ended, in whatever way."""
        while not any(
            number == stream and (kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM))
            for kind, flags, number, _ in self.frames
        ):
            assert self.receive(), f"closed: {self.goaways()}"


def _records(frames: Iterable[bytes]) -> Iterator[bytes]:
    record = b""
    for each in frames:
        if len(record) + len(each) > RECORD // 8:
            yield record
            record = b""
        record += each
    yield record
