"""Reloaders: a thread in the worker that tells when a source file has changed.

It runs in the worker because only the worker knows which modules the application imported. Each watches
files by modification time (`poll`), or asks the kernel where the package watchfiles is installed
(`inotify`). What is done about a change is the caller's affair; it is told of each.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from hostler._named import named
from hostler._values import ReloaderType
from hostler.errors import ConfigError

if TYPE_CHECKING:
    from hostler.settings import Settings

reloader = ReloaderType(
    name="poll",
    open="hostler._reload:open_poll",
    summary="looks at the modification times of source files once a second",
)
inotify = ReloaderType(
    name="inotify",
    open="hostler._reload_notify:open_notify",
    summary="is told by the kernel (needs the package watchfiles)",
)
automatic = ReloaderType(
    name="auto",
    open="hostler._reload:open_automatic",
    summary="inotify where watchfiles is installed, else poll",
)

Changed = Callable[[str], None]


class Watcher(threading.Thread):
    """The polling reloader: started by `start`, ended by `stop`."""

    def __init__(self, extra_files: Sequence[str], changed: Changed, interval: float = 1.0) -> None:
        super().__init__(name="reloader", daemon=True)
        self._extra = list(extra_files)
        self._more: set[str] = set()
        self._changed = changed
        self._interval = interval
        self._ended = threading.Event()
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._patterns = [path for path in self._extra if glob.has_magic(path)]
        self._matched: set[str] = set()

    def watch(self, paths: Iterable[str]) -> None:
        """Further files, such as those of a module that could not be imported."""
        self._more.update(paths)

    def start(self) -> None:
        """Remember how the files are now, so that a change right after the start is seen."""
        self._look(first=True)
        super().start()

    def stop(self) -> None:
        """End the thread; returns at once."""
        self._ended.set()

    def run(self) -> None:
        while not self._ended.wait(self._interval):
            path = self._look()
            if path:
                self._changed(path)

    def _look(self, *, first: bool = False) -> str:
        """The first file that is not as it was; empty when all are."""
        found = ""
        matched = expand(self._patterns)
        if not first and matched != self._matched:
            # A file that a pattern matches appeared or went away.
            found = min(matched ^ self._matched)
        self._matched = matched
        for path in source_files() | set(self._extra) | self._more | matched:
            state = _state(path)
            before = self._seen.get(path)
            if state is None:
                # An editor may replace a file in two steps: only its return with a new state counts.
                continue
            self._seen[path] = state
            if before is not None and before != state:
                found = found or path
        return found


def open_poll(extra_files: Sequence[str], changed: Changed) -> Watcher:
    """A polling reloader, not yet started. `changed(path)` is called from its thread."""
    return Watcher([path for path in extra_files if path], changed)


def open_automatic(extra_files: Sequence[str], changed: Changed) -> Watcher:
    """The kernel's reloader where it can be had, else the polling one."""
    chosen = inotify if importlib.util.find_spec("watchfiles") is not None else reloader
    opened: Watcher = named(chosen.open)(extra_files, changed)
    return opened


def open_reloader(settings: Settings, chosen: ReloaderType | None, changed: Changed) -> Watcher | None:
    """The chosen reloader, not yet started; None without one. Raises `ConfigError` when it cannot work here."""
    if chosen is None:
        return None
    try:
        opened: Watcher = named(chosen.open)(settings.reload_extra_files, changed)
    except ImportError as error:
        raise ConfigError(
            f"reload_engine: {chosen.name} needs the package {error.name}; `pip install {error.name}`"
        ) from None
    return opened


def expand(patterns: Iterable[str]) -> set[str]:
    """The files that the patterns match now (`**` goes through directories)."""
    return {path for pattern in patterns for path in glob.glob(pattern, recursive=True)}


def source_files() -> set[str]:
    """The files of all modules that were imported, without those of Python itself."""
    standard = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})
    found: set[str] = set()
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str):
            continue
        if path.endswith((".pyc", ".pyo")):
            path = path[:-1]
        # Installed packages lie below the library's directory; a link to a working copy does not.
        if not path.startswith(standard) or "site-packages" in path or "dist-packages" in path:
            found.add(path)
    return found


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
