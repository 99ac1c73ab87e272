"""A server with a certificate for each worker that carries HTTP/2."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostler_testkit.plugin import Starter

sys.path.insert(0, str(Path(__file__).parent))

from h2_site import settings_for


@pytest.fixture
def site(server: Any, worker_value: Any, certificate: Any) -> Any:
    """Start a server of the test's own: `site(**settings)`."""
    return lambda **settings: server(**settings_for(worker_value, certificate, **settings))


@pytest.fixture(scope="session")
def running(
    hostler_directory: Path, hostler_worker: str, worker_value: Any, certificate: Any
) -> Iterator[Any]:
    """One server for all tests that leave it as it was."""
    starter = Starter(hostler_directory, hostler_worker, "")
    yield starter(**settings_for(worker_value, certificate, keepalive_requests=0))
    starter.end()


@pytest.fixture
def base(running: Any) -> str:
    """The address of that server."""
    return f"https://127.0.0.1:{running.address[1]}"
