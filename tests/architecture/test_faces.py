"""Public faces: what they export exists, is documented, and is exported once."""

from __future__ import annotations

import importlib
import inspect

import pytest

FACES = (
    "hostler.plugin",
    "hostler.drive",
    "hostler.errors",
    "hostler.settings",
    "hostler.gateway",
    "hostler.testing",
)


@pytest.mark.parametrize("face", FACES)
def test_exports_exist(face: str) -> None:
    """`__all__` tells the truth."""
    module = importlib.import_module(face)
    names = getattr(module, "__all__", None)
    if names is None:
        return
    assert sorted(set(names)) == sorted(names)
    for name in names:
        assert hasattr(module, name), f"{face}.{name}"


def test_names_are_exported_once() -> None:
    """One place to import a thing from."""
    homes: dict[str, str] = {}
    for face in FACES:
        for name in getattr(importlib.import_module(face), "__all__", ()):
            assert name not in homes, f"{name} is exported by {homes[name]} and {face}"
            homes[name] = face


@pytest.mark.parametrize("face", FACES)
def test_exports_are_documented(face: str) -> None:
    """Every class and function of a face says what it is for."""
    module = importlib.import_module(face)
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{face}.{name} has no docstring"
