"""The one place where plugins are found: by kind and name, one at a time, and only when asked for.

A registry holds what the metadata of the installed distributions says (entry points: text). Code is imported
by `find` alone, and then only the light module that holds the plugin's value; what the value names by dotted
path is imported later, in the child that runs it. This module knows no settings beyond the switches.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hostler._distributions import entry_points
from hostler._known import INSTEAD, OFFICIAL, SAME
from hostler._nearest import nearest
from hostler._values import API, LoggerType, Plugin, ProtocolType, ReloaderType, ServiceType, WorkerType
from hostler.errors import PluginError

P = TypeVar("P", bound=Plugin)

KINDS: dict[type, tuple[str, str]] = {
    WorkerType: ("hostler.workers", "worker class"),
    ProtocolType: ("hostler.protocols", "protocol"),
    ServiceType: ("hostler.services", "service"),
    LoggerType: ("hostler.loggers", "logger"),
    ReloaderType: ("hostler.reloaders", "reloader"),
}
"""Kind of plugin -> its entry-point group, and what a user calls it."""

CORE = "hostler"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry point: which distribution offers what under which name. Text only; nothing was imported."""

    group: str
    name: str
    value: str
    """`module:attribute`."""
    dist: str
    version: str

    @property
    def provider(self) -> str:
        return f"{self.dist} {self.version}"


def search_path() -> tuple[str, ...]:
    """Where metadata may lie: Python's path without the working directory.

    With `python -m` the working directory stands in the path, and whoever can write a file there could
    otherwise hand code to a server that starts as root.
    """
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # it was removed; then nothing lies in it
        here = ""
    return tuple(entry for entry in sys.path if entry and os.path.realpath(entry) != here)


def scan(path: Sequence[str]) -> Iterator[Entry]:
    """The entry points of our groups, the first distribution of a name before its doubles."""
    seen: set[tuple[str, str, str]] = set()
    for point in entry_points(path, "hostler."):
        key = (canonical(point.dist), point.group, point.name)
        if key not in seen:
            seen.add(key)
            yield Entry(point.group, point.name, point.value, point.dist, point.version or "?")


def canonical(dist: str) -> str:
    """A distribution's name as comparisons want it."""
    return re.sub(r"[-_.]+", "-", dist).lower()


class Registry:
    """The plugins of this environment, or, in a test, the given ones."""

    def __init__(
        self,
        entries: Iterable[Entry],
        disabled: Iterable[str] = (),
        path: Sequence[str] | None = None,
        kinds: Mapping[type, tuple[str, str]] = KINDS,
    ) -> None:
        """`path`: where alone the modules of these entries may come from; None leaves Python's own."""
        self._path = path
        self._kinds = kinds
        self.warnings: list[str] = []
        self._disabled = frozenset(disabled)
        self._entries: list[Entry] = []
        self._values: dict[Entry, Any] = {}
        self._ignored: list[Entry] = []
        for entry in entries:
            official = OFFICIAL.get((entry.group, entry.name))
            if official is not None and official != canonical(entry.dist):
                self._ignored.append(entry)
            else:
                self._entries.append(entry)
        self._entries.sort(key=lambda entry: (entry.group, entry.name, entry.dist))

    @classmethod
    def installed(cls, path: Sequence[str], disabled: Iterable[str] = ()) -> Registry:
        """Of the distributions on this path (`search_path()`, taken before anything changes directory)."""
        return cls(scan(path), disabled, path)

    # -- metadata only ---------------------------------------------------------------------------------

    def entries(self, kind: type | None = None) -> tuple[Entry, ...]:
        """All entry points, or those of one kind, whether or not they are disabled or in conflict."""
        group = None if kind is None else self._kinds[kind][0]
        return tuple(e for e in self._entries if group is None or e.group == group)

    def names(self, kind: type) -> tuple[str, ...]:
        """The names that `find` can resolve."""
        return tuple(dict.fromkeys(e.name for e in self.entries(kind) if not self.disabled(e)))

    def disabled(self, entry: Entry) -> bool:
        """Switched off by setting or environment; the core's own never are."""
        if canonical(entry.dist) == CORE:
            return False
        words = {entry.name, entry.dist, canonical(entry.dist), "*"}
        return not words.isdisjoint(self._disabled)

    def disable(self, names: Iterable[str]) -> None:
        """Switch further plugins off, by name or distribution; before any of them is asked for."""
        self._disabled |= frozenset(names)

    def ignored(self) -> tuple[Entry, ...]:
        """Those that claim a reserved name."""
        return tuple(self._ignored)

    # -- values ----------------------------------------------------------------------------------------

    def find(self, kind: type[P], name: str) -> P:
        """The plugin of this name: an installed one's, `DIST#NAME`, or `MODULE:ATTRIBUTE`.

        Raises `PluginError` with one line that says what to do.
        """
        group, word = self._kinds[kind]
        if name in SAME and name not in self.names(kind):
            self.warn(f"{word} {name!r} is gunicorn's; {SAME[name]!r} is taken for it")
            name = SAME[name]
        if name in INSTEAD and name not in self.names(kind):
            raise PluginError(self._instead(kind, name))
        if "#" in name:
            return self.value(kind, self._of_dist(kind, *name.split("#", 1)))
        if ":" in name:
            return self.value(kind, Entry(group, name, name, "", ""))
        found = [e for e in self.entries(kind) if e.name == name and not self.disabled(e)]
        if len(found) > 1:
            providers = ", ".join(e.provider for e in found)
            raise PluginError(
                f"{word} {name!r} is provided by {providers}: uninstall one, or give {found[0].dist}#{name}"
            )
        if not found:
            raise PluginError(self._missing(kind, name))
        return self.value(kind, found[0])

    def value(self, kind: type[P], entry: Entry) -> P:
        """The value that an entry point names, imported once and checked."""
        if entry not in self._values:
            with _search(self._path if entry.dist else None):
                self._values[entry] = _load(entry, self._kinds[kind][1])
        value = self._values[entry]
        who = f"{self._kinds[kind][1]} {entry.name!r}"
        _check_api(who, entry, value)
        if not isinstance(value, kind):
            raise PluginError(
                f"{who}: {entry.value!r} is {_describe(value)}, not a {kind.__name__}"
                + (" (gunicorn's worker classes cannot be used)" if isinstance(value, type) else "")
            )
        return value

    def all(self, kind: type[P]) -> Iterator[P]:
        """Every usable plugin of a kind. A broken one that nobody named costs a warning, not the server."""
        for name in self.names(kind):
            try:
                yield self.find(kind, name)
            except PluginError as error:
                self.warn(f"not used: {error}")

    def state(self, entry: Entry) -> str:
        """For the listing: ok, disabled, reserved, conflict, or broken/incompatible with the reason."""
        if entry in self._ignored:
            return f"ignored: the name is reserved for {OFFICIAL[(entry.group, entry.name)]}"
        if self.disabled(entry):
            return "disabled"
        twins = [e for e in self._entries if (e.group, e.name) == (entry.group, entry.name)]
        kind = next((k for k, (group, _) in self._kinds.items() if group == entry.group), None)
        if kind is None and not self._belongs(entry):
            return "unknown group"
        try:
            if kind is not None:  # what belongs to a plugin, only that plugin can judge
                self.value(kind, entry)
        except PluginError as error:
            return f"{'incompatible' if 'plugin API' in str(error) else 'broken'}: {error}"
        return "conflict" if len([e for e in twins if not self.disabled(e)]) > 1 else "ok"

    def _belongs(self, entry: Entry) -> bool:
        """The group is one that a plugin which is here has for plugins of its own: `hostler.NAME_…`."""
        groups = {group for group, _ in self._kinds.values()}
        return any(
            entry.group.startswith(f"hostler.{other.name}_")
            for other in self._entries
            if other.group in groups
        )

    def warn(self, text: str) -> None:
        """Keep one line for the log, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    # -- what to say when there is none ----------------------------------------------------------------

    def _of_dist(self, kind: type, dist: str, name: str) -> Entry:
        word = self._kinds[kind][1]
        for entry in self.entries(kind):
            if canonical(entry.dist) == canonical(dist) and entry.name == name:
                if self.disabled(entry):
                    raise PluginError(f"{word} {dist}#{name} is disabled (disabled_plugins)")
                return entry
        raise PluginError(f"no {word} {name!r} in a distribution {dist!r}; installed: {self._list(kind)}")

    def _missing(self, kind: type, name: str) -> str:
        group, word = self._kinds[kind]
        off = [e for e in self.entries(kind) if e.name == name]
        if off:
            return (
                f"{word} {name!r} is provided by {off[0].dist} but disabled by disabled_plugins or "
                "HOSTLER_DISABLE_PLUGINS"
            )
        if (group, name) in OFFICIAL:
            impostors = [e.provider for e in self._ignored if (e.group, e.name) == (group, name)]
            note = f" ({', '.join(impostors)} claims the name but may not have it)" if impostors else ""
            return f"{word} {name!r} is not installed: {install(OFFICIAL[(group, name)])}{note}"
        if "." in name:
            return f"{word} {name!r}: no such plugin; a value in a module is given as MODULE:ATTRIBUTE"
        official = [n for g, n in OFFICIAL if g == group]
        near = nearest(name, [*self.names(kind), *official])
        hint = f" Did you mean {near!r}?" if near else ""
        more = "" if kind in KINDS else f"; a distribution offers one in the entry-point group {group}"
        return f"no {word} is named {name!r}.{hint} Installed: {self._list(kind)}; or give MODULE:ATTRIBUTE{more}"

    def _instead(self, kind: type, name: str) -> str:
        group, word = self._kinds[kind]
        instead, why = INSTEAD[name]
        have = instead in self.names(kind)
        how = (
            ""
            if have
            else f" ({install(OFFICIAL[(group, instead)])})"
            if (group, instead) in OFFICIAL
            else ""
        )
        return f"{word} {name!r} cannot be used: {why}. The nearest here is {instead!r}{how}"

    def _list(self, kind: type) -> str:
        return ", ".join(self.names(kind)) or "none"


def install(dist: str) -> str:
    """The command that installs a distribution into this very environment."""
    return f"{sys.executable or 'python'} -m pip install {dist}"


@contextlib.contextmanager
def _search(path: Sequence[str] | None) -> Iterator[None]:
    """Import an installed plugin from where it is installed, not from a namesake in the working directory."""
    before = list(sys.path)
    if path is not None:
        sys.path[:] = path
    try:
        yield
    finally:
        sys.path[:] = before


def _load(entry: Entry, word: str) -> Any:
    module_name, _, attribute = entry.value.partition(":")
    module_name, attribute = module_name.strip(), attribute.split("[")[0].strip()
    who = f"{word} {entry.name!r}"
    source = f" from {entry.provider}" if entry.dist else ""
    try:
        value = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise PluginError(f"{who}: there is no module {module_name!r}{source}") from error
        have = f"{entry.provider} is installed" if entry.dist else f"{module_name!r} is there"
        raise PluginError(f"{who}: {have} but its dependency {error.name!r} is missing") from error
    except Exception as error:  # a stranger's module may raise anything
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, TypeError) and "unexpected keyword argument" in text:
            text += f" (is it made for a later plugin API than {API[0]}.{API[1]}?)"
        raise PluginError(f"{who}: importing {module_name!r}{source} failed: {text}") from error
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise PluginError(f"{who}: {module_name!r}{source} has no attribute {attribute!r}")
        value = getattr(value, part)
    return value


def _check_api(who: str, entry: Entry, value: Any) -> None:
    needed = getattr(value, "api", API)
    if not (isinstance(needed, tuple) and len(needed) == 2):
        raise PluginError(f"{who}: states its plugin API as {needed!r} instead of (major, minor)")
    if needed[0] == API[0] and needed[1] <= API[1]:
        return
    source = f" ({entry.provider})" if entry.dist else ""
    remedy = "upgrade hostler" if needed > API else f"upgrade {entry.dist or 'the plugin'}"
    raise PluginError(
        f"{who}{source} needs plugin API {needed[0]}.{needed[1]}; "
        f"this hostler offers {API[0]}.{API[1]}: {remedy}"
    )


def _describe(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
