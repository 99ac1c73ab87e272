"""What any service must do: its contract, a start before the workers, repair after a kill, an end with the server.

The settings that make the service run come from the module's `SETTINGS`, or from `--hostler-service-settings`.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import signal
from typing import Any

from hostler.plugin import API, ServiceType

from hostler_testkit.client import until


def test_value(hostler_service: ServiceType) -> None:
    """The contract of the value."""
    assert isinstance(hostler_service, ServiceType)
    assert hostler_service.api[0] == API[0]
    assert hostler_service.api[1] <= API[1]
    module, _, attribute = hostler_service.serve.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))
    if hostler_service.settings is not None:
        assert dataclasses.is_dataclass(hostler_service.settings)
        assert hostler_service.wanted(hostler_service.settings()) in (True, False)


def service_pids(server: Any) -> list[int]:
    """Children of the arbiter that serve no requests."""
    worker = server.worker_pid()
    return [pid for pid in server.children() if pid != worker]


def test_it_runs_beside_the_worker(service_server: Any) -> None:
    """One process more than without it, and requests are served."""
    assert until(lambda: service_pids(service_server), "a process of the service")
    assert service_server.request().body == b"hello"


def test_it_comes_back(service_server: Any) -> None:
    """Killed, it is started again; requests go on meanwhile."""
    old = until(lambda: service_pids(service_server), "a process of the service")[0]
    os.kill(old, signal.SIGKILL)
    assert service_server.request().body == b"hello"
    until(lambda: [pid for pid in service_pids(service_server) if pid != old], "a new process of the service")


def test_it_ends_with_the_server(service_server: Any) -> None:
    """TERM ends everything, with exit code 0."""
    until(lambda: service_pids(service_server), "a process of the service")
    assert service_server.stop() == 0
    until(lambda: not service_server.group(), "no process left")
