"""One value that a user gave for a setting, and where: what the sources hand over and the answers name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hostler._names import Name
from hostler.errors import ConfigError, UsageError
from hostler.settings import Invalid


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from."""

    kind: str
    """`file`, `environment` or `command line`."""
    where: str
    """The file's path, the variable, or the flag."""

    def __str__(self) -> str:
        return self.where if self.kind != "file" else f"file {self.where}"


@dataclass(frozen=True, slots=True)
class Given:
    """A setting's value as a source holds it: text or, from a file, any value."""

    name: Name
    value: Any
    origin: Origin
    written: str
    """How the user wrote it, for an error: `workers = 'many'`, `--workers many`, `WEB_CONCURRENCY=many`."""

    def converted(self) -> Any:
        """The value that the setting gets. Raises `ConfigError`, or `UsageError` for the command line."""
        try:
            return self.name.declaration.kind.convert(self.value)
        except Invalid as error:
            where = f"{self.origin.where}: " if self.origin.kind == "file" else ""
            wrong = UsageError if self.origin.kind == "command line" else ConfigError
            raise wrong(f"{where}{self.written}: {error}") from None


def shown(value: Any) -> str:
    """A value in an error: short, on one line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that one source gave."""

    given: Sequence[Given] = ()
    warnings: Sequence[str] = ()
