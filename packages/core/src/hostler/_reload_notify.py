"""The reloader that the kernel tells of changes, through the package watchfiles.

Directories are watched and files compared: editors replace files rather than write them, and links are
watched where they lead.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence

import watchfiles

from hostler._reload import Changed, Watcher, expand, source_files

REFRESH = 1000
"""Milliseconds after which the set of watched directories is looked at again: imports add to it."""


class Notified(Watcher):
    """Waits in the kernel; a change of a directory makes it look at the files as the polling one does."""

    def run(self) -> None:
        while not self._ended.is_set():
            directories = set(self._directories())
            for changes in self._wait(directories):
                # Also without changes: what happened between two watches shows in the files' times.
                path = self._look()
                if path:
                    self._changed(path)
                if not changes and set(self._directories()) - directories:
                    break

    def _wait(self, directories: set[str]) -> Iterator[set[tuple[watchfiles.Change, str]]]:
        return watchfiles.watch(
            *directories,
            stop_event=self._ended,
            rust_timeout=REFRESH,
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
            watch_filter=None,
        )

    def _directories(self) -> Iterator[str]:
        files = source_files() | set(self._extra) | self._more | expand(self._patterns)
        found = {os.path.dirname(os.path.realpath(path)) for path in files if os.path.exists(path)}
        for pattern in self._patterns:
            fixed = pattern
            while fixed and (glob.has_magic(fixed) or not os.path.isdir(fixed)):
                fixed = os.path.dirname(fixed)
            found.add(os.path.realpath(fixed or "."))
        yield from (path for path in found if os.path.isdir(path))


def open_notify(extra_files: Sequence[str], changed: Changed) -> Notified:
    """A reloader that waits in the kernel, not yet started."""
    return Notified([path for path in extra_files if path], changed)
