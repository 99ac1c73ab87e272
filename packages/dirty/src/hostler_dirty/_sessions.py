"""What the arbiter notes of its callers: a session per connection, and the channels that were made for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hostler_dirty import _line
from hostler_dirty._peer import Peer
from hostler_dirty._settings import DirtySettings
from hostler_dirty.errors import (
    DirtyError,
    DirtyProtocolError,
    DirtyQueueFullError,
    DirtySerializationError,
)

RETRY_AFTER = 1.0


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
    guest: bool = False
    """It came by the door for outsiders."""
    peer: Peer | None = None
    channels: dict[int, Channel] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)
    """Call ids that stand in a queue."""

    def send(self, data: bytes, fds: tuple[int, ...] = ()) -> None:
        if self.peer is not None:
            self.peer.send(data, fds)

    def orders(self, body: Any) -> list[str]:
        """The words of a MANAGE frame. Whoever may not manage may ask for readiness. Raises DirtyProtocolError."""
        words = _line.decode(body)
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise DirtyProtocolError("A MANAGE of another shape")
        if not self.manages and (self.guest or words[:1] != ["ready"]):
            raise DirtyProtocolError("A caller may not manage the pool")
        return words

    def greeting(self, settings: DirtySettings, infos: Mapping[str, Any]) -> dict[str, Any]:
        """What it is told at first. A guest learns the pool's defaults too, and of the apps what a call needs."""
        if not self.guest:
            return {"apps": infos}
        apps = {path: {name: info[name] for name in _NEEDED if name in info} for path, info in infos.items()}
        return {
            "apps": apps,
            "timeout": settings.timeout,
            "max_payload": settings.max_payload,
            "main": os.getppid(),
        }

    def refusal(self, app: str, info: Mapping[str, Any], most: int) -> DirtyError | None:
        """Why a guest's call is not to be taken, of whose calls `most` may wait or run at a time; None: it is."""
        if not info.get("data_only", True):
            return DirtySerializationError(
                f"{app} is not served outside the server: decoding its codec {info.get('codec')} may run code"
            )
        held = len(self.waiting) + sum(channel.lease != 0 for channel in self.channels.values())
        if held >= most:
            return DirtyQueueFullError(
                f"This connection has {most} calls already (dirty_bind_calls)", RETRY_AFTER
            )
        return None


_NEEDED = ("timeout", "timeouts", "priorities", "idempotent", "batches", "codec", "data_only")
