"""Servers with dirty pools; what they are is in `pool_server`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(
    0, str(Path(__file__).parent)
)  # the server and its applications are modules of this directory

from pool_server import Server


@pytest.fixture
def serve(tmp_path):
    """A function that starts servers; all are ended after the test, and their log is shown if it failed."""
    servers = []

    def start(worker, *more, **options):
        server = Server(worker, tmp_path, *more, **options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()
        print(server.log.read_text())
