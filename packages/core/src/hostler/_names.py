"""Every name under which a setting can be given: the core's, and, when a name asks for it, the plugins'.

A plugin's settings stand under its prefix (`gevent_pool`, `--gevent-pool`, `[gevent] pool`), so the names of
two plugins cannot meet. Plugins' values are loaded only when a name is not the core's, or for the help.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hostler._known import OFFICIAL, STARTS, owner
from hostler._nearest import nearest
from hostler._plugins import KINDS, Registry, install
from hostler._values import Plugin, WorkerType
from hostler.errors import ConfigError, PluginError
from hostler.settings import Declaration, Settings, declarations


@dataclass(frozen=True, slots=True)
class Name:
    """One setting: what it is called, whose it is, and its declaration."""

    full: str
    """`workers`, `gevent_pool`."""
    plugin: str
    """The plugin's name; empty for the core's."""
    field: str
    """The field of the owner's settings class."""
    declaration: Declaration = dataclasses.field(compare=False)
    default: Any = dataclasses.field(compare=False)
    section: str = ""

    @property
    def flags(self) -> tuple[str, ...]:
        """The complete flags of the command line; none when it is for files only."""
        declaration = self.declaration
        if not declaration.cli:
            return ()
        flags = declaration.flags or (_flag(self.full),)
        return flags + tuple(_flag(alias) for alias in declaration.aliases)

    @property
    def negations(self) -> tuple[str, ...]:
        """For a switch: the flags that take it back (`--no-preload`)."""
        if self.declaration.kind.flag != "switch":
            return ()
        return tuple(f"--no-{f[2:]}" for f in self.flags if f.startswith("--") and not f.startswith("--no-"))

    @property
    def variable(self) -> str:
        """Its variable of the environment."""
        return f"HOSTLER_{self.full.upper()}"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def default_of(one: dataclasses.Field[Any]) -> Any:
    """A field's default value."""
    if one.default is not dataclasses.MISSING:
        return one.default
    if one.default_factory is not dataclasses.MISSING:
        return one.default_factory()
    return None


def _of(cls: type, plugin: str = "", prefix: str = "") -> Iterable[Name]:
    fields = {one.name: one for one in dataclasses.fields(cls)}
    for key, declaration in declarations(cls).items():
        full = f"{prefix}_{key}" if prefix else key
        section = f"Plugin {plugin}" if plugin else declaration.section
        yield Name(full, plugin, key, declaration, default_of(fields[key]), section)


@dataclass(slots=True)
class Names:
    """The names of the core and of a registry's plugins."""

    registry: Registry
    _core: dict[str, Name] = field(default_factory=dict)
    _plugins: dict[str, Name] = field(default_factory=dict)
    _owners: dict[str, Plugin] = field(default_factory=dict)
    _loaded: bool = False

    def __post_init__(self) -> None:
        for name in _of(Settings):
            self._core[name.full] = name
            self._core.update(dict.fromkeys(name.declaration.aliases, name))

    def core(self) -> tuple[Name, ...]:
        """The core's settings, in the order of their declaration."""
        return tuple(dict.fromkeys(self._core.values()))

    def core_name(self, full: str) -> Name:
        """The core's setting of this name."""
        return self._core[full]

    def of_plugins(self) -> tuple[Name, ...]:
        """The settings of all installed plugins that can be loaded."""
        self._load()
        return tuple(dict.fromkeys(self._plugins.values()))

    def loaded(self) -> tuple[Name, ...]:
        """The settings of the plugins that were loaded so far."""
        return tuple(dict.fromkeys(self._plugins.values()))

    def get(self, text: str) -> Name | None:
        """The setting of this name or alias; loads plugins only for one that the core does not have."""
        if text in self._core:
            return self._core[text]
        self._load()
        return self._plugins.get(text)

    def prefixes(self) -> Mapping[str, Plugin]:
        """Prefix -> the plugin that has it, of all plugins with settings."""
        self._load()
        return {plugin.prefix or plugin.name: plugin for plugin in self._owners.values()}

    def known(self) -> tuple[str, ...]:
        """Every name and alias, for a suggestion."""
        self._load()
        return tuple(self._core) + tuple(self._plugins)

    def include(self, worker: str) -> None:
        """Take in the settings of a worker that is given as `MODULE:ATTRIBUTE`, before they are looked up.

        One that cannot be found now is left for `Registry.find`, which says why.
        """
        if ":" in worker and not worker.startswith("egg:"):
            with contextlib.suppress(PluginError):
                self.add(self.registry.find(WorkerType, worker))

    def add(self, plugin: Plugin) -> None:
        """Take in a plugin's settings (those of one chosen as `MODULE:ATTRIBUTE` come this way)."""
        if plugin.settings is None or self._owners.get(plugin.name) is plugin:
            return
        other = self._owners.get(plugin.name)
        if other is not None and other.settings is plugin.settings:
            return  # a plugin of two kinds with one table of settings
        if other is not None:
            raise PluginError(f"two plugins are called {plugin.name!r} and have settings: uninstall one")
        if not dataclasses.is_dataclass(plugin.settings):
            raise PluginError(f"plugin {plugin.name!r}: its settings are not a dataclass")
        mine: dict[str, Name] = {}
        for name in _of(plugin.settings, plugin.name, plugin.prefix or plugin.name):
            mine[name.full] = name
            mine.update(dict.fromkeys(name.declaration.aliases, name))
        for full in mine:
            taken = self._core.get(full) or self._plugins.get(full)
            if taken is not None:
                whose = f"plugin {taken.plugin!r}" if taken.plugin else "the core"
                raise PluginError(f"plugin {plugin.name!r}: its setting {full!r} is one of {whose}")
        self._owners[plugin.name] = plugin
        self._plugins.update(mine)

    def unknown(self, text: str, written: str = "") -> str:
        """What to say of a name that nobody has. `written` is how the user wrote it (`--wrokers`)."""
        shown = written or repr(text)
        dist = owner(text)
        if dist and not self._has(dist):
            return f"{shown} belongs to {dist}, which is not installed: {install(dist)}"
        near = self.suggestion(text)
        if near and written:
            near = next(iter(self._flags_of(near)), near)
        hint = f"; did you mean {near}?" if near else ""
        broken = [warning for warning in self.registry.warnings if warning.startswith("not used:")]
        note = f" ({'; '.join(broken)})" if broken and not near else ""
        return f"{shown} is no setting{hint}{note}"

    def absent(self, text: str) -> str:
        """The warning for a name of one of our plugins that is not installed; `""` if it must be an error."""
        dist = owner(text)
        if not dist or self._has(dist) or text in STARTS:
            return ""
        return f"{text} has no effect: {dist} is not installed"

    def _has(self, dist: str) -> bool:
        ours = {key for key, official in OFFICIAL.items() if official == dist}
        return any(
            (e.group, e.name) in ours and not self.registry.disabled(e) for e in self.registry.entries()
        )

    def _by_flag(self, text: str) -> str:
        """A setting whose flag is written like the name: `log_level` for `loglevel`, `preload`."""
        if len(text) < 7:
            return ""  # `env`, `name`, `pid` are too good as names of a user's own
        flag = _flag(text)
        for name in (*self._core.values(), *self._plugins.values()):
            if flag in name.flags:
                return name.full
        return ""

    def _flags_of(self, text: str) -> tuple[str, ...]:
        name = self.get(text)
        return () if name is None else tuple(flag for flag in name.flags if flag.startswith("--"))

    def suggestion(self, text: str) -> str:
        """The setting that was probably meant, or `""`."""
        return self._by_flag(text) or nearest(text, self.known())

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for kind in KINDS:
            plugins: Iterable[Plugin] = self.registry.all(kind)
            for plugin in plugins:
                try:
                    self.add(plugin)
                except PluginError as error:
                    self.registry.warn(f"not used: {error}")


def make(cls: type, values: Mapping[str, Any], plugin: str) -> Any:
    """A plugin's own settings from the values that were given."""
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"settings of plugin {plugin!r}: {error}") from None
