"""`hostler config` and `--print-config`: the settings as they are, and where each came from."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hostler._configuration import Configuration, build
from hostler._names import Name


def run(arguments: Sequence[str], prog: str) -> int:
    """Every setting, its value and its origin; takes the same arguments as the server, and `--json`."""
    as_json = "--json" in arguments
    configuration = build([one for one in arguments if one != "--json"], prog=prog)
    rows = [(name, value, _origin(configuration, name)) for name, value in _values(configuration)]
    if as_json:
        table = {
            name.full: {"value": _plain(value), "origin": origin, "plugin": name.plugin or None}
            for name, value, origin in rows
        }
        print(json.dumps(table, indent=2))  # noqa: T201  # what the command is for
    else:
        for name, value, origin in rows:
            print(f"{name.full:<36} {_shown(value):<40} {origin}".rstrip())  # noqa: T201
    for warning in configuration.warnings:
        print(f"warning: {warning}", file=sys.stderr)  # noqa: T201
    return 0


def show(configuration: Configuration) -> None:
    """Every setting as `name = value`, in the order of the alphabet."""
    for name, value in sorted(_values(configuration), key=lambda row: row[0].full):
        print(f"{name.full:<36} = {_shown(value)}")  # noqa: T201  # what the flag is for


def _values(configuration: Configuration) -> Iterator[tuple[Name, Any]]:
    for name in configuration.names:
        owner = configuration.own[name.plugin] if name.plugin else configuration.settings
        yield name, getattr(owner, name.field)


def _origin(configuration: Configuration, name: Name) -> str:
    origin = configuration.origins.get(name.full)
    return "default" if origin is None else f"{origin.kind}: {origin.where}"


def _shown(value: Any) -> str:
    if callable(value):
        module, name = getattr(value, "__module__", "?"), getattr(value, "__qualname__", repr(value))
        return f"<function {name} of {module}>"
    return repr(value)


def _plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(inner) for inner in value]
    return _shown(value)
