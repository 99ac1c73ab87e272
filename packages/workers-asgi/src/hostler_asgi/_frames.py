"""WebSocket framing (RFC 6455, RFC 7692): octets in, messages out; messages in, octets out.

The engine is the sans-IO protocol of the library `websockets`: fragments, control frames, the closing
handshake and compression with an output budget are its matter. Around it stand two things of our own: a
scanner of frame heads for what the engine lets pass (lengths that are not minimal, control frames judged
before they are read, the number of fragments), and a short way for what nearly all traffic is, complete
small frames without extensions. Knows no socket, no clock and no application.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from websockets.datastructures import Headers
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode, apply_mask  # type: ignore[attr-defined]
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from hostler_asgi._errors import MessageError

_CONT, _TEXT, _BINARY, _CLOSE, _PONG = Opcode.CONT, Opcode.TEXT, Opcode.BINARY, Opcode.CLOSE, Opcode.PONG
_CLOSE_WITHIN = (1000, "a close between the fragments of a message")
"""No fault: RFC 6455 section 5.4 lets control frames stand there; nothing that follows matters."""
_HEAD_SIZE = (2,) * 126 + (4, 10)
"""Octets of a frame's head without its mask, by the length field of its second octet."""


@dataclass(frozen=True)
class Closed:
    """The connection is closed for the application: by the peer, or because of what the peer sent."""

    code: int
    reason: str


class Frames:
    """One WebSocket connection as a value."""

    __slots__ = (
        "_deaf",
        "_decoder",
        "_engine",
        "_fragments",
        "_head",
        "_left",
        "_max_fragments",
        "_max_size",
        "_parts",
        "_plain",
        "finished",
        "pong",
    )

    def __init__(self, max_size: int, max_fragments: int, extensions: Sequence[Extension] = ()) -> None:
        engine = ServerProtocol(state=OPEN, max_size=max_size)
        engine.extensions = list(extensions)
        self._engine = engine
        self._plain = not extensions
        self._max_size = max_size
        self._max_fragments = max_fragments
        self._deaf = False
        self._head = bytearray()
        self._left = 0
        self._fragments = 0
        self._decoder: codecs.IncrementalDecoder | None = None
        self._parts: list[str] | list[bytes] | None = None
        self.finished = False
        """Nothing more will be written: the transport can be closed."""
        self.pong: bytes | None = None
        """The payload of the last pong."""

    # -- in --------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[str | bytes | Closed]:
        """Take octets of the peer; messages come whole."""
        found: list[str | bytes | Closed] = []
        if self._deaf:
            return found
        if self._plain and not self._left and not self._head and not self._fragments and self.open:
            start = self._short(data, found)
            if start == len(data):
                return found
            if start:
                data = data[start:]
        good, fault = self._scan(data)
        if good:
            self._feed(data[:good] if fault else data, found)
        if fault is _CLOSE_WITHIN and not self._deaf:
            self._engine.current_size = None  # the engine would take the unfinished message for an error
            self._feed(data[good:], found)
        elif fault and not self._deaf:
            self._fail(fault[0], fault[1], found)
        return found

    def end(self) -> None:
        """The peer has finished sending."""
        self._engine.receive_eof()

    def _short(self, data: bytes, found: list[str | bytes | Closed]) -> int:
        """Take complete, unfragmented, masked messages from the start of the octets; how many octets these were."""
        position, size = 0, len(data)
        while size - position >= 6:
            first, second = data[position], data[position + 1]
            start = position + 6
            if second < 254:
                length = second - 128
            elif second == 254 and size - position >= 8:
                length = (data[position + 2] << 8) | data[position + 3]
                start = position + 8
                if length < 126:
                    break
            else:
                break
            end = start + length
            if (first != 0x81 and first != 0x82) or length < 0 or end > size or length > self._max_size:
                break
            payload = apply_mask(data[start:end], data[start - 4 : start])
            if first == 0x81:
                try:
                    found.append(payload.decode())
                except UnicodeDecodeError:
                    break  # the engine's way says why
            else:
                found.append(payload)
            position = end
        return position

    def _scan(self, data: bytes) -> tuple[int, tuple[int, str] | None]:
        """How many octets the engine may have, and what is wrong with those that follow."""
        position, size = 0, len(data)
        head = self._head
        while True:
            if self._left:
                step = min(self._left, size - position)
                self._left -= step
                position += step
            if position == size:
                return size, None
            start = position
            while len(head) < 2 or len(head) < _HEAD_SIZE[head[1] & 127]:
                if position == size:
                    return size, None
                head.append(data[position])
                position += 1
            fault = self._judge(head)
            if fault:
                return start, fault
            head.clear()

    def _judge(self, head: bytearray) -> tuple[int, str] | None:
        final, opcode, short = head[0] & 128, head[0] & 15, head[1] & 127
        if not head[1] & 128:
            return 1002, "a frame without a mask"
        length = short if short < 126 else int.from_bytes(head[2:], "big")
        if (short == 126 and length < 126) or (short == 127 and not 65536 <= length < 1 << 63):
            return 1002, "a length that is not in its shortest form"
        if opcode >= 8:
            if short > 125 or not final:
                return 1002, "a control frame that is long or fragmented"
            if opcode == 8 and self._fragments:
                return _CLOSE_WITHIN
        else:
            self._fragments += 1
            if self._fragments > self._max_fragments:
                return 1008, "too many fragments"
            if final:
                self._fragments = 0
        self._left = 4 + length
        return None

    def _feed(self, data: bytes, found: list[str | bytes | Closed]) -> None:
        engine = self._engine
        engine.receive_data(data)
        for frame in engine.events_received():
            assert isinstance(frame, Frame)
            opcode = frame.opcode
            if opcode is _TEXT or opcode is _BINARY or opcode is _CONT:
                try:
                    self._collect(frame, found)
                except UnicodeDecodeError:
                    self._fail(1007, "text that is not UTF-8", found)
                    return
            elif opcode is _PONG:
                self.pong = bytes(frame.data)
            elif opcode is _CLOSE and engine.close_rcvd is not None:
                self._deaf = True
                found.append(Closed(int(engine.close_rcvd.code), engine.close_rcvd.reason))
                return
        if engine.parser_exc is not None:
            sent = engine.close_sent
            self._deaf = True
            found.append(Closed(int(sent.code), sent.reason) if sent is not None else Closed(1006, ""))

    def _collect(self, frame: Frame, found: list[str | bytes | Closed]) -> None:
        """Fragments into a message. Text is decoded piece by piece, so that bad octets are refused at once."""
        opcode, data = frame.opcode, frame.data
        if frame.fin and opcode is not _CONT:
            found.append(bytes(data).decode() if opcode is _TEXT else bytes(data))
            return
        if opcode is not _CONT:
            self._parts = []
            self._decoder = codecs.getincrementaldecoder("utf-8")() if opcode is _TEXT else None
        parts = self._parts
        assert parts is not None
        if self._decoder is not None:
            parts.append(self._decoder.decode(data, frame.fin))  # type: ignore[arg-type]
            whole: str | bytes = "".join(parts) if frame.fin else ""  # type: ignore[arg-type]
        else:
            parts.append(bytes(data))  # type: ignore[arg-type]
            whole = b"".join(parts) if frame.fin else b""  # type: ignore[arg-type]
        if frame.fin:
            self._parts = self._decoder = None
            found.append(whole)

    def _fail(self, code: int, reason: str, found: list[str | bytes | Closed]) -> None:
        self._deaf = True
        self._engine.fail(code, reason)
        found.append(Closed(code, reason))

    # -- out -------------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """No close has been sent or received."""
        return self._engine.state is OPEN

    def message(self, text: Any, data: Any) -> bytes:
        """The octets of a message of an application, which gives text or octets and None for the other."""
        if data is None and isinstance(text, str):
            return self._message(0x81, text.encode())
        if text is None and isinstance(data, (bytes, bytearray, memoryview)):
            return self._message(0x82, bytes(data))
        raise MessageError("websocket.send: text must be a str, or bytes be bytes, and the other None")

    def _message(self, first: int, data: bytes) -> bytes:
        if not self._plain:
            engine = self._engine
            if first == 0x81:
                engine.send_text(data)
            else:
                engine.send_binary(data)
            return self.outgoing()
        size = len(data)
        if size < 126:
            return bytes((first, size)) + data
        if size < 65536:
            return struct.pack("!BBH", first, 126, size) + data
        return struct.pack("!BBQ", first, 127, size) + data

    def ping(self, payload: bytes) -> None:
        """Queue a ping."""
        self._engine.send_ping(payload)

    def close(self, code: int, reason: str) -> None:
        """Queue a close; raises `websockets.exceptions.ProtocolError` for a code that cannot be sent."""
        self._engine.send_close(code, reason)

    def fail(self, code: int, reason: str) -> None:
        """Queue a close and expect nothing more of the peer."""
        self._deaf = True
        self._engine.fail(code, reason)

    def outgoing(self) -> bytes:
        """What is to be written now."""
        out = self._engine.data_to_send()
        if not out:
            return b""
        if out[-1] == b"":
            self.finished = True
        return b"".join(out)


def negotiate(offers: Sequence[bytes]) -> tuple[str, list[Extension]]:
    """permessage-deflate, if the client offers it in a form that can be served: the answering field, the extension.

    The windows stay small (12 bits) so that ten thousand compressed connections fit in memory.
    """
    factory = ServerPerMessageDeflateFactory(
        server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5}
    )
    engine = ServerProtocol(extensions=[factory])
    answer, extensions = engine.process_extensions(
        Headers([("Sec-WebSocket-Extensions", offer.decode("latin-1")) for offer in offers])
    )
    return answer or "", extensions
