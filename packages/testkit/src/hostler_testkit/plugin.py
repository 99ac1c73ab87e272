"""The pytest plugin: the option `--hostler-worker` and the fixtures of the conformance suites."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the kit's options."""
    group = parser.getgroup("hostler")
    group.addoption("--hostler-worker", default="sync", metavar="NAME", help="worker class to run the suites on")
