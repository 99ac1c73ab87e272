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
            return "window"  # whatever a window lets through is gone by now
        if not stream.remote_ended and not stream.tunnel and not stream.head.upgrade and stream.credit > 0:
            return "body"
        return ""

    def _overdue(self, stream: Stream, now: float) -> bool:
        waits = self._awaited(stream)
        if waits != stream.awaited:
            stream.awaited, stream.since, stream.moved = waits, now, 0
            return False
        if not waits:
            return False
        own = self._session.own
        elapsed = now - stream.since
        if elapsed <= own.stream_timeout:
            return False
        if stream.moved and stream.moved >= elapsed * own.stream_min_rate:
            stream.since, stream.moved = now, 0
            return False
        return True

    def _give_up(self, stream: Stream) -> None:
        session = self._session
        if self._awaited(stream) == "window":
            session.reset(stream, f.CANCEL, "a window that stayed shut", "write_slow", provoked=False)
        elif stream.started:
            session.reset(stream, f.CANCEL, "a body that came too slowly", "body_slow", provoked=False)
        else:
            session.respond(stream, 408, "a body that came too slowly", "body_slow")
