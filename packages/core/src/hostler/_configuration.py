"""What one start (or one reload) of the server runs with: settings and the plugins they choose, checked.

`build` reads every source once and answers with a frozen value or a `HostlerError` of one line; nothing is
forked, bound or loaded of the application here. `rebuild` does it again for a reload.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hostler._bind import binds
from hostler._given import Given, Origin
from hostler._known import OFFICIAL, PROTOCOL_IDS, THREADLESS
from hostler._named import named
from hostler._names import Name, Names, make
from hostler._plugins import Registry, install, search_path
from hostler._protocols import spoken
from hostler._sources import Sources
from hostler._together import together
from hostler._values import LoggerType, Plugin, ProtocolType, ReloaderType, ServiceType, WorkerType
from hostler.errors import ConfigError, PluginError
from hostler.settings import Settings

TRANSPORTS = frozenset({"http", "https", "tcp", "unix", "fd", "ssl"})
"""Schemes of a bind that say how to connect, or plain HTTP; any other is a protocol's."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the process was started with: kept, because a reload must not see what changed since."""

    argv: tuple[str, ...]
    environ: Mapping[str, str]
    directory: str
    path: tuple[str, ...]
    prog: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings and chosen plugins; never changed, replaced as a whole by a reload."""

    settings: Settings
    own: Mapping[str, Any]
    """Plugin name -> its own settings, for each active plugin that has some."""
    worker: WorkerType
    protocols: tuple[ProtocolType, ...]
    """Those that a listener of these settings may speak."""
    services: tuple[ServiceType, ...]
    """The wanted ones."""
    logger: LoggerType
    reloader: ReloaderType | None
    """None without `reload`."""
    origins: Mapping[str, Origin]
    """Full name of each setting that was given -> where; what is not in it has its default."""
    argv: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    """Lines for the log, once it is open."""
    names: tuple[Name, ...] = field(default=(), compare=False, repr=False)
    """The settings that were looked at: the core's and the active plugins'."""
    start: Start | None = field(default=None, compare=False, repr=False)

    def rebuild(self) -> Configuration:
        """Read the sources anew, with the arguments and environment of the start. Raises `HostlerError`."""
        assert self.start is not None
        return _build(self.start, None)


def build(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    directory: str | None = None,
    registry: Registry | None = None,
    prog: str = "hostler",
) -> Configuration:
    """The configuration that these arguments (without the program's name) and the environment ask for.

    Raises `ConfigError`, `UsageError` or `PluginError`, each with one line for the user.
    """
    start = Start(
        tuple(argv),
        dict(os.environ if environ is None else environ),
        _here() if directory is None else directory,
        search_path(),
        prog,
    )
    return _build(start, registry)


def _here() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise ConfigError(f"the working directory cannot be used: {error.strerror}") from None


def _build(start: Start, registry: Registry | None) -> Configuration:
    if registry is None:
        registry = Registry.installed(start.path, _words(start.environ.get("HOSTLER_DISABLE_PLUGINS", "")))
    names = Names(registry)
    sources = Sources(start.argv, start.environ, start.directory, names, start.prog)
    given = sources.read()
    values: dict[Name, Any] = {}
    origins: dict[str, Origin] = {}
    written: dict[str, Given] = {}
    for one in given:
        values[one.name] = one.converted()
        origins[one.name.full], written[one.name.full] = one.origin, one
    settings = _settings(values, start.directory)
    _check_files(settings, origins, start.directory)
    registry.disable(settings.disabled_plugins)
    _search(settings, start.directory)
    if _resolve_hooks(values, written):
        settings = _settings(values, start.directory)
    choice = _Choice(registry, names, settings, values, origins)
    chosen = choice.make()
    warnings = [*sources.warnings, *_ignored(given), *choice.warnings, *registry.warnings]
    active = {plugin.name for plugin in choice.active()}
    configuration = dataclasses.replace(
        chosen,
        origins=origins,
        argv=start.argv,
        warnings=tuple(dict.fromkeys(warnings)),
        names=tuple(
            name for name in (*names.core(), *names.loaded()) if not name.plugin or name.plugin in active
        ),
        start=start,
    )
    for bind in binds(settings):
        spoken(bind, configuration)
    return configuration


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _settings(values: Mapping[Name, Any], directory: str) -> Settings:
    fields = {name.field: value for name, value in values.items() if not name.plugin}
    if fields.get("chdir"):
        # Absolute, so that whoever changes there twice (a reload, an upgrade) ends in the same place.
        fields["chdir"] = os.path.join(directory, os.path.expanduser(fields["chdir"]))
        if not os.path.isdir(fields["chdir"]):
            raise ConfigError(f"chdir: there is no directory {fields['chdir']!r}")
    return Settings(**fields)


def _check_files(settings: Settings, origins: Mapping[str, Origin], directory: str) -> None:
    for one in ("certfile", "keyfile", "ca_certs"):
        path = getattr(settings, one)
        if path and not os.path.isfile(os.path.join(settings.chdir or directory, path)):
            raise ConfigError(f"{origins[one].where}: {one}: there is no file {path!r}")
    if settings.keyfile and not settings.certfile and settings.ssl_context is None:
        raise ConfigError(f"{origins['keyfile'].where}: keyfile is set but certfile is not: TLS needs both")


def _search(settings: Settings, directory: str) -> None:
    """Names in settings (hooks, workers in modules) are looked for where the application is."""
    wanted = [settings.chdir or directory, *(os.path.join(directory, one) for one in settings.pythonpath)]
    for one in wanted:
        if one not in sys.path:
            sys.path.insert(0, one)


def _resolve_hooks(values: dict[Name, Any], written: Mapping[str, Given]) -> bool:
    """Hooks that are named by text (`package.module.attribute`) become what they name; True if there were any."""
    texts = [
        n for n, value in values.items() if isinstance(value, str) and n.declaration.kind.name == "CALLABLE"
    ]
    for name in texts:
        given = written[name.full]
        found = _imported(values[name], given)
        values[name] = dataclasses.replace(given, value=found).converted()
    return bool(texts)


def _imported(text: str, given: Given) -> Any:
    module, _, attribute = text.replace(":", ".").rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{given.origin.where}: {given.written}: names no function: {error}") from error


def _ignored(given: Iterable[Given]) -> list[str]:
    """One line for each setting that was given and has no meaning here."""
    found: dict[str, str] = {}
    for one in given:
        reason = one.name.declaration.ignored
        if reason:
            found[one.name.full] = f"{one.name.full} has no effect: {reason}"
    return list(found.values())


class _Choice:
    """The plugins that the settings choose, and their own settings."""

    def __init__(
        self,
        registry: Registry,
        names: Names,
        settings: Settings,
        values: Mapping[Name, Any],
        origins: Mapping[str, Origin],
    ) -> None:
        self.warnings: list[str] = []
        self._registry = registry
        self._names = names
        self._settings = settings
        self._values = values
        self._origins = origins
        self._active: dict[str, Plugin] = {}
        self._own: dict[str, Any] = {}

    def active(self) -> tuple[Plugin, ...]:
        return tuple(self._active.values())

    def make(self) -> Configuration:
        worker = self._use(self._worker())
        protocols = tuple(self._use(one) for one in self._protocols(worker))
        services = tuple(self._use(one) for one in self._registry.all(ServiceType) if self._wants(one))
        logger = self._use(self._logger())
        reloader = self._use(self._reloader()) if self._settings.reload else None
        self._tell_inactive()
        self.warnings += together(self._settings, self._origins, worker)
        self._validate(services)
        own = dict(self._own)
        return Configuration(self._settings, own, worker, protocols, services, logger, reloader, {}, ())

    def _validate(self, services: Iterable[ServiceType]) -> None:
        """What a service says of values that do not go together."""
        for service in services:
            if service.validate:
                named(service.validate)(self._own.get(service.name))

    def _use(self, plugin: Any) -> Any:
        self._active[plugin.name] = plugin
        if plugin.settings is not None:
            self._own[plugin.name] = self._settings_of(plugin)
        return plugin

    def _settings_of(self, plugin: Plugin) -> Any:
        assert plugin.settings is not None
        self._names.add(plugin)
        mine = {name.field: value for name, value in self._values.items() if name.plugin == plugin.name}
        return make(plugin.settings, mine, plugin.name)

    def _wants(self, plugin: ServiceType | LoggerType) -> bool:
        try:
            own = self._settings_of(plugin) if plugin.settings is not None else None
        except PluginError as error:
            self._registry.warn(f"not used: {error}")
            return False
        return bool(plugin.wanted(own))

    def _worker(self) -> WorkerType:
        settings = self._settings
        worker = self._registry.find(WorkerType, settings.worker_class)
        if settings.threads > 1 and worker.name == "sync":
            if "gthread" not in self._registry.names(WorkerType):
                raise PluginError(
                    f"threads = {settings.threads} needs a worker with threads: "
                    f"{install(OFFICIAL[('hostler.workers', 'gthread')])}"
                )
            if "worker_class" in self._origins:
                self.warnings.append(
                    f"threads = {settings.threads}: the worker gthread is taken instead of sync"
                )
            worker = self._registry.find(WorkerType, "gthread")
        elif settings.threads > 1 and (worker.name in THREADLESS or not worker.threaded):
            self.warnings.append(f"threads has no effect with the worker {worker.name}")
        return worker

    def _protocols(self, worker: WorkerType) -> list[ProtocolType]:
        """By HTTP version in the order of preference, then those that a bind or `protocol` names."""
        found: dict[str, ProtocolType] = {}
        for wanted in self._http_versions():
            one = self._http(wanted)
            found[one.name] = one
            if one.multiplexing and not worker.multiplexes:
                # The listeners leave it out by themselves, and refuse to start if nothing is left.
                self.warnings.append(f"http_protocols: the worker {worker.name} does not serve {wanted}")
        for scheme in self._schemes():
            one = self._gateway(scheme)
            found[one.name] = one
        return list(found.values())

    def _http_versions(self) -> tuple[str, ...]:
        listens = [one.get("http_protocols", ()) for one in self._settings.listen]
        more = [part for one in listens for part in (_words(one) if isinstance(one, str) else one)]
        return tuple(dict.fromkeys([*self._settings.http_protocols, *more]))

    def _http(self, wanted: str) -> ProtocolType:
        if wanted in PROTOCOL_IDS:
            return self._registry.find(ProtocolType, PROTOCOL_IDS[wanted])
        known: list[str] = []
        for one in self._registry.all(ProtocolType):
            known += one.ids
            if wanted in one.ids:
                return one
        where = self._origins.get("http_protocols")
        raise ConfigError(
            f"{where.where + ': ' if where else ''}http_protocols: {wanted!r} is not known; "
            f"installed: {', '.join(known)}"
        )

    def _schemes(self) -> list[str]:
        binds = [*self._settings.bind, *(str(one.get("bind", "")) for one in self._settings.listen)]
        schemes = [self._settings.protocol]
        for bind in binds:
            match = re.match(r"([A-Za-z][A-Za-z0-9.-]*)(?:\+(?:unix|fd))?:/", bind)
            if match:
                schemes.append(match[1].lower())
        return [one for one in dict.fromkeys(schemes) if one and one not in TRANSPORTS]

    def _gateway(self, scheme: str) -> ProtocolType:
        if ("hostler.protocols", scheme) in OFFICIAL:
            return self._registry.find(ProtocolType, scheme)
        known: list[str] = []
        for one in self._registry.all(ProtocolType):
            known += [name for name in one.schemes if name not in TRANSPORTS]
            if scheme in one.schemes:
                return one
        raise ConfigError(f"no protocol speaks {scheme!r}; known: {', '.join(['http', 'https', *known])}")

    def _logger(self) -> LoggerType:
        if "logger_class" in self._origins:
            return self._registry.find(LoggerType, self._settings.logger_class)
        # Only a logger of which something was set can want to be chosen without being named.
        given = {name.plugin for name in self._values if name.plugin}
        for one in self._registry.all(LoggerType) if given else ():
            if one.name in given and self._wants(one):
                return one
        return self._registry.find(LoggerType, self._settings.logger_class)

    def _reloader(self) -> ReloaderType:
        return self._registry.find(ReloaderType, self._settings.reload_engine)

    def _tell_inactive(self) -> None:
        for name in self._values:
            if name.plugin and name.plugin not in self._active:
                self.warnings.append(f"{name.full} has no effect: the plugin {name.plugin} is not in use")
