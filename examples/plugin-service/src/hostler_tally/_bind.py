"""What happens in the arbiter, once and before any fork, and in each worker, before its application loads."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from hostler.plugin import Bound, ServiceSetup

from hostler_tally._client import PATH

if TYPE_CHECKING:
    from hostler_tally import Settings


def bind(settings: Settings, setup: ServiceSetup) -> Bound:
    """Make the socket. It outlives the service: what is sent while it restarts waits in the socket."""
    del settings
    path = os.path.join(setup.runtime_directory(), "tally")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(path)
    # Workers only need the path, so the descriptor itself is hidden from them.
    return Bound({"socket": sock.detach()}, hidden=("socket",), values={"path": path})


def join(settings: Settings, bound: Bound) -> None:
    """In a worker: remember where to ask."""
    del settings
    PATH[:] = [bound.values["path"]]
