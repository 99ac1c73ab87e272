"""What one worker rings and all of them hear: a connection waits in the backlog that the ringer does not take.

The kernel tells one worker of each connection. If that one has nobody free, a sibling that sleeps hears nothing.
Where every worker is told of each connection, nothing has to be rung.
"""

from __future__ import annotations

import os
import sys


class Bell:
    """Made before the forks, shared by every process that inherits it."""

    __slots__ = ("descriptor",)

    def __init__(self) -> None:
        self.descriptor = -1
        """To be watched for its edges: nobody reads it, so each ring is heard by all. -1: there is none."""
        if sys.platform == "linux":
            self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def close(self) -> None:
        """Give the descriptor back."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def ring(self) -> None:
        """Let every worker look whether something waits that it can take."""
        if self.descriptor >= 0:
            os.eventfd_write(self.descriptor, 1)
