"""No worker of the checkout is left out: each has a module here."""

from pathlib import Path

import pytest
from hostler_testkit import installed_workers

EXAMPLES = {"futures"}
"""The workers of `examples/`, which bring their own test."""


@pytest.mark.parametrize("name", sorted(set(installed_workers()) - EXAMPLES))
def test_worker_has_its_module(name: str) -> None:
    """The suites run on it."""
    text = Path(__file__).with_name(f"test_{name}.py").read_text()
    assert f'WORKERS = ["{name}"]' in text
