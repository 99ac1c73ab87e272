"""One stream (RFC 9113 section 5): a request, its answer, and how far either has come. A value; it decides nothing."""

from __future__ import annotations

from collections import deque

from hostler.plugin import Head

from hostler_http2._priority import DEFAULT, Priority

COALESCED = 4096
"""Blocks shorter than this are joined into one frame when several wait."""


class Stream:
    """A request in service. It holds its slot until both the protocol and the application are done with it."""

    __slots__ = (
        "allowed",
        "awaited",
        "backlog",
        "bare",
        "block",
        "closed",
        "continued",
        "credit",
        "cut",
        "done",
        "expected",
        "finished",
        "head",
        "moved",
        "number",
        "owed",
        "priority",
        "queue",
        "received",
        "remote_ended",
        "seen",
        "sent",
        "sent_end",
        "since",
        "started",
        "trailers",
        "tunnel",
        "untaken",
        "widened",
        "window",
    )

    def __init__(self, number: int, head: Head, ended: bool, window: int, credit: int) -> None:
        self.number = number
        self.head = head
        self.priority: Priority = DEFAULT
        # -- the request
        self.remote_ended = ended
        self.credit = credit
        """Octets that the peer may still send."""
        self.untaken = 0
        """Octets that came and that the application has not taken."""
        self.owed = 0
        """Octets taken and not yet told to the peer."""
        self.received = 0
        self.expected = None if head.upgrade else head.length
        self.continued = not head.expects_continue
        # -- the answer
        self.started = False
        self.block: bytes | None = None
        """The head, as long as it waits to be sent."""
        self.bare = False
        """The answer ends with its head."""
        self.sent = 0
        """Octets of the body that are out."""
        self.sent_end = False
        """END_STREAM was sent."""
        self.allowed: int | None = None
        """Octets of the body that Content-Length still has room for."""
        self.cut = 0
        self.queue: deque[bytes | memoryview] = deque()
        self.backlog = 0
        """Octets in the queue."""
        self.trailers = b""
        self.finished = False
        """The application has given all."""
        self.window = window
        """Octets that the peer lets us send."""
        self.widened = False
        """The peer has opened it once more, which each stream may have for nothing."""
        # -- the end
        self.closed = False
        """No further frame belongs to it."""
        self.done = False
        """The application is done with it."""
        self.tunnel = False
        # -- how long it waits for its peer
        self.awaited = ""
        self.since = 0.0
        self.moved = 0
        self.seen = 0
        """Octets that the connection had sent when the wait began."""

    def put(self, block: bytes) -> None:
        """Queue octets of the body."""
        self.queue.append(block)
        self.backlog += len(block)

    def take(self, room: int) -> bytes:
        """Octets for one frame, at most `room`; small blocks go together."""
        queue = self.queue
        block = queue[0]
        size = len(block)
        if size > room:
            view = memoryview(block)
            queue[0] = view[room:]
            self.backlog -= room
            return bytes(view[:room])
        queue.popleft()
        if queue and size < COALESCED:
            parts = [block]
            while queue and size + len(queue[0]) <= room:
                size += len(queue[0])
                parts.append(queue.popleft())
            self.backlog -= size
            return b"".join(parts)
        self.backlog -= size
        return block if isinstance(block, bytes) else bytes(block)

    def drop(self) -> None:
        """Forget what was not sent."""
        self.queue.clear()
        self.backlog = 0
        self.block = None
        self.trailers = b""
