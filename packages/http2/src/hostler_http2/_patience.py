"""How long a stream waits for its peer: to go on with a body, or to open a window for its answer.

The driver's own deadlines see the connection as a whole, where one lively stream hides a stalled one. Here each
stream is looked at, about once a second of the clock that was given and only when something happens.
"""

from __future__ import annotations

from hostler_http2 import _frames as f
from hostler_http2._session import Session
from hostler_http2._streams import Stream

INTERVAL = 1.0


class Patience:
    """Watches the streams of one session."""

    __slots__ = ("_looked", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._looked = session.opened

    def awaits(self) -> bool:
        """Some stream waits for the peer."""
        return any(self._awaited(stream) for stream in self._session.streams.values())

    def look(self) -> None:
        """Reset streams whose peer had its time. Raises `ConnectionBroken` for SETTINGS never acknowledged."""
        session = self._session
        now = session.clock()
        if now - self._looked < INTERVAL:
            return
        self._looked = now
        own = session.own
        if not session.settled and own.settings_timeout and now - session.opened > own.settings_timeout:
            raise f.ConnectionBroken(f.SETTINGS_TIMEOUT, "SETTINGS were never acknowledged", "h2_settings")
        if own.stream_timeout:
            for stream in list(session.streams.values()):
                if self._overdue(stream, now):
                    self._give_up(stream)

    def expire(self) -> None:
        """The driver's deadline for bodies is over: those that it waited for are given up."""
        session = self._session
        now = session.clock()
        for stream in list(session.streams.values()):
            waits = self._awaited(stream)
            if waits == "body" or (waits and self._overdue(stream, now)):
                self._give_up(stream)

    def _awaited(self, stream: Stream) -> str:
        """What the peer owes the stream: `body`, `window` or nothing."""
        if stream.closed or (stream.tunnel and not stream.backlog):
            return ""
        if stream.backlog:
            # Until it is its turn to be written it waits for others, and the driver watches the socket.
            return "window" if self._session.sender.waits(stream) else ""
        if not stream.remote_ended and not stream.tunnel and not stream.head.upgrade and stream.credit > 0:
            return "body"
        return ""

    def _overdue(self, stream: Stream, now: float) -> bool:
        waits = self._awaited(stream)
        if waits != stream.awaited:
            self._begin(stream, waits, now)
            return False
        if not waits:
            return False
        own = self._session.own
        elapsed = now - stream.since
        if elapsed <= own.stream_timeout:
            return False
        moved = stream.moved
        if waits == "window" and stream.window > 0:
            # It is the connection's window that is shut, and others may be served from it first.
            moved = self._session.sender.sent - stream.seen
        if moved and moved >= elapsed * own.stream_min_rate:
            self._begin(stream, waits, now)
            return False
        return True

    def _begin(self, stream: Stream, waits: str, now: float) -> None:
        stream.awaited, stream.since, stream.moved = waits, now, 0
        stream.seen = self._session.sender.sent

    def _give_up(self, stream: Stream) -> None:
        session = self._session
        if self._awaited(stream) == "window":
            session.reset(stream, f.CANCEL, "a window that stayed shut", "write_slow", provoked=False)
        elif stream.started:
            session.reset(stream, f.CANCEL, "a body that came too slowly", "body_slow", provoked=False)
        else:
            session.respond(stream, 408, "a body that came too slowly", "body_slow")
