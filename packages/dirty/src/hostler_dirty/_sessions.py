"""What the arbiter notes of its callers: a session per connection, and the channels that were made for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hostler_dirty._peer import Peer


@dataclass(slots=True, eq=False)
class Channel:
    """The arbiter's note of a channel."""

    id: int
    worker: int
    session: Session
    lease: int = 0


@dataclass(slots=True, eq=False)
class Session:
    """A caller."""

    id: int
    manages: bool
    peer: Peer | None = None
    channels: dict[int, Channel] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)
    """Call ids that stand in a queue."""

    def send(self, data: bytes, fds: tuple[int, ...] = ()) -> None:
        if self.peer is not None:
            self.peer.send(data, fds)
