"""Plugins of plugins: values that a plugin takes from an entry-point group of its own.

Found and named as the core's own plugins are: installed, `DIST#NAME`, or `MODULE:ATTRIBUTE`. The core does not
know what they are; only their owner imports and judges them.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")


def find_extension(kind: type[T], group: str, name: str, word: str) -> T:
    """The value of this type that an installed distribution offers under the name.

    `group` is the entry-point group, `hostler.PLUGIN_THINGS`; `word` is what a user calls such a thing. A value
    that has an `api` is checked as a plugin is. Raises `PluginError` with one line that says what to do. It reads
    the metadata of the whole environment: keep what it gives.
    """
    from hostler._plugins import Registry, scan, search_path  # noqa: PLC0415  (most processes ask for nothing)

    path = search_path()
    disabled = [one.strip() for one in os.environ.get("HOSTLER_DISABLE_PLUGINS", "").split(",")]
    entries = [entry for entry in scan(path) if entry.group == group]
    registry = Registry(entries, filter(None, disabled), path, {kind: (group, word)})
    return registry.find(kind, name)  # type: ignore[type-var]
