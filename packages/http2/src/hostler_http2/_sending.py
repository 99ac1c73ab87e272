"""The sending half of a connection: the peer's windows, the order of responses, frames ready to be written.

Flow control (RFC 9113 section 5.2) decides how much, priorities (RFC 9218) whose turn it is. Frames for all that
is allowed out are made when they are asked for, so that the end of a body travels with its last octets, and never for
more than one write: what a slow reader has not taken stays with its stream, uncopied.
"""

from __future__ import annotations

from collections.abc import Iterable

from hostler_http2 import _frames as f
from hostler_http2._settings import LARGEST_WINDOW
from hostler_http2._streams import Stream

JOINED = 8192
"""Below this size a payload is copied behind its nine octets rather than written as a piece of its own."""

TURN = 1 << 18
"""Octets of bodies for one write: more would only wait behind the socket, where no priority reaches it any more."""


def _order(stream: Stream) -> tuple[int, bool, int, int]:
    urgency, incremental = stream.priority
    return urgency, incremental, stream.sent if incremental else 0, stream.number


class Sender:
    """What goes out on one connection."""

    __slots__ = ("_blocked", "_ready", "control", "frame", "initial", "out", "sent", "size", "window")

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.control = 0
        """Frames queued since the last write that answer the peer's control frames."""
        self.size = 0
        """Octets of bodies queued since the last write."""
        self.window = 65535
        """What the peer lets us send on all streams together."""
        self.initial = 65535
        """The window of a new stream."""
        self.frame = 16384
        """The largest frame that the peer takes."""
        self.sent = 0
        """Octets of bodies sent so far."""
        self._ready: dict[int, Stream] = {}
        self._blocked: dict[int, Stream] = {}

    def push(self, data: bytes) -> None:
        """Queue a frame."""
        self.out.append(data)

    def reply(self, data: bytes) -> None:
        """Queue a frame that answers a control frame; too many of them unwritten end the connection."""
        self.out.append(data)
        self.control += 1

    def headers(self, stream: int, block: bytes, end: bool = False) -> None:
        """Queue a header block."""
        self.out.append(f.header_frames(stream, block, end, self.frame))

    def wants(self, stream: Stream) -> None:
        """The stream has something to send."""
        if stream.number not in self._blocked:
            self._ready[stream.number] = stream
        elif stream.block is not None or not stream.backlog:
            self.unblock(stream)

    def forget(self, stream: Stream) -> None:
        """The stream sends no more."""
        self._ready.pop(stream.number, None)
        self._blocked.pop(stream.number, None)

    def unblock(self, stream: Stream) -> None:
        """The stream's window was opened."""
        if self._blocked.pop(stream.number, None) is not None:
            self._ready[stream.number] = stream

    def unblock_all(self) -> None:
        """The connection's window was opened, or all windows changed."""
        self._ready.update(self._blocked)
        self._blocked.clear()

    def waits(self, stream: Stream) -> bool:
        """Whether the stream waits for a window rather than for its turn."""
        return stream.number in self._blocked

    @property
    def blocked(self) -> Iterable[Stream]:
        """Streams that wait for a window."""
        return self._blocked.values()

    def grow(self, increment: int) -> bool:
        """Widen the connection's window; False when it would become larger than one may be."""
        if self.window + increment > LARGEST_WINDOW:
            return False
        reopened = self.window <= 0
        self.window += increment
        if reopened and self.window > 0:
            self.unblock_all()
        return True

    def schedule(self) -> list[Stream]:
        """Make frames of what is allowed out, for one write. Returns the streams whose answers are complete."""
        ended: list[Stream] = []
        while self._ready and self.size < TURN:
            streams = list(self._ready.values())
            self._ready.clear()
            if len(streams) == 1:
                if self._emit(streams[0], False):
                    ended.append(streams[0])
                return ended
            streams.sort(key=_order)
            self._take_turns(streams, ended)
        return ended

    def _take_turns(self, streams: list[Stream], ended: list[Stream]) -> None:
        """In order of urgency; the incremental ones of one urgency share, frame by frame."""
        position = 0
        while position < len(streams):
            if self.size >= TURN:
                self._ready.update((stream.number, stream) for stream in streams[position:])
                return
            stream = streams[position]
            position += 1
            if not stream.priority[1]:
                if self._emit(stream, False):
                    ended.append(stream)
                continue
            sharing = [stream]
            while position < len(streams) and streams[position].priority == stream.priority:
                sharing.append(streams[position])
                position += 1
            while sharing and self.size < TURN:
                ended += [one for one in sharing if self._emit(one, True)]
                sharing = [one for one in sharing if self._ready.pop(one.number, None) is not None]
            self._ready.update((one.number, one) for one in sharing)

    def _emit(self, stream: Stream, once: bool) -> bool:
        """Frames of one stream, or only one; True when its answer is complete. `once` leaves the rest ready."""
        number = stream.number
        if stream.block is not None:
            block, stream.block = stream.block, None
            end = not stream.queue and not stream.trailers and stream.finished
            # An answer without a body is over for its reader now; an upload that the application may still
            # want to read is not.
            end = end or (stream.bare and stream.remote_ended)
            self.out.append(f.header_frames(number, block, end, self.frame))
            if end:
                stream.sent_end = True
                return True
        queue = stream.queue
        while queue:
            room = min(self.window, stream.window, self.frame)
            if room <= 0:
                self._blocked[number] = stream
                return False
            payload = stream.take(room)
            end = stream.finished and not queue and not stream.trailers
            self._data(stream, payload, end)
            if end:
                return True
            if queue and (once or self.size >= TURN):
                self._ready[number] = stream
                return False
        if not stream.finished or stream.sent_end:
            return False
        stream.sent_end = True
        if stream.trailers:
            self.out.append(f.header_frames(number, stream.trailers, True, self.frame))
        else:
            self.out.append(f.frame_header(0, f.DATA, f.END_STREAM, number))
        return True

    def _data(self, stream: Stream, payload: bytes, end: bool) -> None:
        size = len(payload)
        self.window -= size
        stream.window -= size
        self.size += size
        self.sent += size
        stream.moved += size
        stream.sent += size
        stream.sent_end = end
        header = f.frame_header(size, f.DATA, f.END_STREAM if end else 0, stream.number)
        if size <= JOINED:
            self.out.append(header + payload)
        else:
            self.out.append(header)
            self.out.append(payload)
