"""Conformance kit for hostler's workers, protocols and services.

`pytest --pyargs hostler_testkit.conformance --hostler-worker NAME` runs the suites on an installed worker;
`hostler-testkit` prints them as a table. `check_protocol` does the same for a protocol without a socket.
"""

from hostler_testkit.__about__ import __version__
from hostler_testkit.client import Answer, NoAnswer, Peer, message, until
from hostler_testkit.installed import installed_workers
from hostler_testkit.server import Server

__all__ = ["Answer", "NoAnswer", "Peer", "Server", "__version__", "installed_workers", "message", "until"]
