"""What the arbiter knows: the plan that new children are made by, the children, the shared page, what is wanted.

Values and questions about them; the moves are made elsewhere, one file for each kind of event.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hostler._bell import Bell
from hostler._children import Child, Children
from hostler._heartbeat import Page
from hostler._signals import SignalQueue
from hostler._turn import Turn

if TYPE_CHECKING:
    import logging

    from hostler._configuration import Configuration
    from hostler._contexts import Bound, Logger
    from hostler._hooks import HookTable
    from hostler._listeners import OpenListener
    from hostler.settings import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a new child is made by; a reload makes the next one."""

    generation: int
    configuration: Configuration
    listeners: tuple[OpenListener, ...]
    log: Logger
    hooks: HookTable
    bound: Mapping[str, Bound] = field(default_factory=dict)
    """What each service's `bind` made, by its name."""
    application: Any = None
    """Loaded before the fork (`preload_app`), else None."""


@dataclass(slots=True)
class State:
    """The arbiter's mind."""

    plan: Plan
    target: int
    """Workers wanted."""
    children: Children = field(default_factory=Children)
    page: Page = field(default_factory=Page)
    turn: Turn = field(default_factory=Turn)
    bell: Bell = field(default_factory=Bell)
    signals: SignalQueue = field(default_factory=SignalQueue)
    stopping: str = ""
    """"", "graceful" or "quick"."""
    ready: bool = False
    """The first generation served: from now on a failure to boot ends nothing."""
    exit_code: int = 0
    candidate: Plan | None = None
    """The plan of a reload that has to prove itself first."""
    retired: list[OpenListener] = field(default_factory=list)
    """Listeners that no plan has any more, kept until the workers that serve them have ended."""
    server: Any = None
    """What hooks get as `server`."""
    leaver: Child | None = None
    """The worker that is being replaced (enough requests, too old, too large); one at a time."""
    started: float = field(default_factory=time.monotonic)
    events: list[tuple[float, str]] = field(default_factory=list)
    """The last events with their wall-clock times, for the status."""

    @property
    def settings(self) -> Settings:
        return self.plan.configuration.settings

    def listeners(self) -> list[OpenListener]:
        """Everything that this process has open to listen on."""
        found = [*self.plan.listeners, *self.retired]
        return found if self.candidate is None else [*found, *self.candidate.listeners]

    @property
    def log(self) -> logging.Logger:
        return self.plan.log.error

    def note(self, event: str) -> None:
        """Keep an event for the status."""
        self.events.append((time.time(), event))
        del self.events[:-50]
