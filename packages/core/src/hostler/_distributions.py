"""The entry points of installed distributions, as text (PyPA: "Entry points specification").

Reads just what the registry asks for, since this comes before every start and stays in no process: the standard
library's reader brings the parsers of mail and of archives, two mebibytes that every worker would share in. Knows
directories that an installer fills; a distribution inside of an archive is not seen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_KINDS = {".dist-info": ("METADATA", ""), ".egg-info": ("PKG-INFO", ""), ".egg": ("PKG-INFO", "EGG-INFO")}
"""How the name of a distribution's directory ends -> the file that names it, and where in there its files lie."""


class Point(NamedTuple):
    """One entry point. `value` is `module:attribute`."""

    dist: str
    version: str
    group: str
    name: str
    value: str


def entry_points(path: Sequence[str], prefix: str) -> Iterator[Point]:
    """Entry points of groups that begin with `prefix`, in the order of the path."""
    for place in path:
        try:
            names = sorted(os.listdir(place))
        except OSError:
            continue
        for name in names:
            kind = _KINDS.get(os.path.splitext(name)[1].lower())
            if kind is not None:
                yield from _of_distribution(os.path.join(place, name, kind[1]), kind[0], prefix)


def _of_distribution(directory: str, about: str, prefix: str) -> Iterator[Point]:
    text = _read(os.path.join(directory, "entry_points.txt"))
    # Most distributions are not for us.
    if f"[{prefix}" not in text:
        return
    fields = dict(_fields(_read(os.path.join(directory, about))))
    if "name" not in fields:  # what an interrupted removal leaves behind
        return
    for group, name, value in _points(text):
        if group.startswith(prefix):
            yield Point(fields["name"], fields.get("version", ""), group, name, value)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """The core metadata's fields, up to the description; of a name that stands twice the last."""
    for line in text.splitlines():
        if not line:
            return
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            yield name.lower(), value.strip()


def _points(text: str) -> Iterator[tuple[str, str, str]]:
    """Group, name and value of each line."""
    group = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif line and line[0] not in "#;":
            name, equals, value = line.partition("=")
            if equals:
                yield group, name.strip(), value.strip()
