"""What a child is given by the arbiter at its fork."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from hostler._bell import Bell
    from hostler._children import Child
    from hostler._heartbeat import Page
    from hostler._state import Plan
    from hostler._turn import Turn


class Closable(Protocol):
    """A file or socket of the arbiter's."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Birth:
    """Made before the fork, used in the child."""

    child: Child
    plan: Plan
    page: Page
    turn: Turn
    """Held while a child looks at what others write to the page, and writes it."""
    bell: Bell
    parent: int
    """The arbiter's pid."""
    wake_arbiter: Callable[[], None]
    strange: Sequence[Closable]
    """What the child inherits and must not keep."""
    server: Any
    """What hooks get as `server`."""
    application: Any = None
    """Loaded before the fork (`preload_app`), else None."""
    multiprocess: bool = False
    first: bool = False
    """No worker of this server has served yet: a failure to boot is told on the terminal too."""
    environment: dict[str, str] = field(default_factory=dict)

    def wake(self) -> None:
        """Make the arbiter look at the page. It may be gone."""
        with contextlib.suppress(OSError):
            self.wake_arbiter()
