"""A worker that has lost its arbiter: it finishes what it runs, but it does not outlive the server by much.

Who else is there is seen at the doorbell, whose other end the main arbiter and the dirty arbiter have. While it
is answered a call may take the time that it was given; afterwards it gets what a stop would give it.
"""

from __future__ import annotations

import faulthandler
import logging
import select

from hostler_dirty._place import HERE

logger = logging.getLogger("hostler.dirty")


class Orphan:
    """The doorbell, as a worker's watcher looks at it."""

    def __init__(self, watching: select.epoll, patience: float) -> None:
        """`patience`: seconds for the calls that run when nobody is left."""
        self._watching, self._patience = watching, patience
        self.fileno = -1

    def begin(self) -> None:
        """The arbiter is gone: tell when the doorbell's other end is too."""
        if HERE.doorbell >= 0:
            self.fileno = HERE.doorbell
            self._watching.register(self.fileno, 0)  # a hang-up is always told of

    def alone(self) -> None:
        """Nobody is left. The end comes out of a thread that needs no interpreter, whatever the app does."""
        self._watching.unregister(self.fileno)
        self.fileno = -1
        logger.warning("the server is gone: what still runs in %g s is ended", self._patience)
        faulthandler.dump_traceback_later(max(0.1, self._patience), exit=True)
