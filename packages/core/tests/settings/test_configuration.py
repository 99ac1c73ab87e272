"""What is made of the settings: worker, protocols, services, logger, and the checks between them."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hostler._plugins import Entry
from hostler._values import LoggerType, ProtocolType, ServiceType, WorkerType
from hostler.errors import ConfigError, PluginError
from hostler.settings import boolean, integer, setting, text


@dataclass(frozen=True, slots=True)
class PoolSettings:
    pool: int = setting(5, kind=integer(1, 10), help="Size of the pool.")
    fancy: bool = setting(False, kind=boolean, help="Be fancy.", aliases=("fancy_mode",))


@dataclass(frozen=True, slots=True)
class TextSettings:
    host: str = setting("", kind=text, help="Where to.")


def refuse(own: Any) -> None:
    if own.host == "bad":
        raise ConfigError("errand_host: bad is bad")


VALUES: dict[str, Any] = {
    "worker": WorkerType("pooled", "m:serve", settings=PoolSettings, multiplexes=True, threaded=True),
    "gthread": WorkerType("gthread", "m:serve", threaded=True),
    "asgi": WorkerType("asgi", "m:serve", interface="asgi", threaded=True),
    "h2": ProtocolType("http2", "m:open", ids=("h2",), alpn=("h2",), multiplexing=True),
    "gate": ProtocolType("gate", "m:open", schemes=("gate",)),
    "service": ServiceType(
        "errand",
        "m:serve",
        settings=TextSettings,
        wanted=lambda own: bool(own.host),
        validate="plugins_of_a_test:refuse",
    ),
    "logger": LoggerType("metrics", "m:open", settings=TextSettings, wanted=lambda own: bool(own.host)),
}


@pytest.fixture(autouse=True)
def _module() -> Iterator[None]:
    module = types.ModuleType("plugins_of_a_test")
    vars(module).update(VALUES, refuse=refuse)
    sys.modules[module.__name__] = module
    yield
    del sys.modules[module.__name__]


def entry(kind: str, name: str, value: str = "", dist: str = "acme-things") -> Entry:
    return Entry(f"hostler.{kind}", name, f"plugins_of_a_test:{value or name}", dist, "1.0")


POOLED = entry("workers", "pooled", "worker")


@pytest.mark.parametrize(
    "sources",
    [
        {"file": "worker_class = 'pooled'\npooled_pool = 7\nfancy_mode = True"},
        {"toml": "worker_class = 'pooled'\n[pooled]\npool = 7\nfancy = true"},
        {"toml": "worker_class = 'pooled'\npooled_pool = 7\nfancy-mode = true"},
        {
            "environ": {
                "HOSTLER_WORKER_CLASS": "pooled",
                "HOSTLER_POOLED_POOL": "7",
                "HOSTLER_FANCY_MODE": "1",
            }
        },
        {"environ": {"HOSTLER_CMD_ARGS": "-k pooled --pooled-pool=7 --fancy-mode"}},
    ],
)
def test_a_plugins_settings(configure: Any, sources: dict[str, Any]) -> None:
    assert configure(plugins=[POOLED], **sources).own["pooled"] == PoolSettings(7, True)


def test_a_plugins_flags(configure: Any) -> None:
    argv = ("-k", "pooled", "--pooled-pool=7", "--pooled-fancy")
    assert configure(*argv, plugins=[POOLED]).own["pooled"] == PoolSettings(7, True)
    assert configure(*argv, "--no-fancy-mode", plugins=[POOLED]).own["pooled"] == PoolSettings(7, False)


@pytest.mark.parametrize(
    ("argv", "sources"),
    [
        (("-k", "plugins_of_a_test:worker", "--pooled-pool", "7"), {}),
        (("-kplugins_of_a_test:worker", "--pooled-pool", "7"), {}),
        (("--worker-class=plugins_of_a_test:worker",), {"environ": {"HOSTLER_POOLED_POOL": "7"}}),
        ((), {"file": "worker_class = 'plugins_of_a_test:worker'\npooled_pool = 7"}),
        ((), {"toml": "worker-class = 'plugins_of_a_test:worker'\n[pooled]\npool = 7"}),
        ((), {"environ": {"HOSTLER_CMD_ARGS": "-k plugins_of_a_test:worker --pooled-pool 7"}}),
        ((), {"environ": {"HOSTLER_WORKER_CLASS": "plugins_of_a_test:worker", "HOSTLER_POOLED_POOL": "7"}}),
    ],
)
def test_a_worker_in_a_module(configure: Any, argv: tuple[str, ...], sources: dict[str, Any]) -> None:
    """Not installed, only named by its path: its settings are known all the same."""
    configuration = configure(*argv, **sources)
    assert configuration.worker is VALUES["worker"]
    assert configuration.own["pooled"].pool == 7


@dataclass(frozen=True)
class Clash:
    workers: int = setting(1, kind=integer(), help="Clashes.", aliases=("workers",))


@dataclass(frozen=True)
class Needy:
    pool: int = setting(kind=integer(), help="Has no default.")


class Plain:
    pool = 3


@pytest.mark.parametrize(
    ("cls", "words"),
    [(Clash, "its setting 'workers' is one of the core"), (Needy, "pool"), (Plain, "not a dataclass")],
)
def test_settings_that_a_plugin_may_not_have(configure: Any, cls: type, words: str) -> None:
    vars(sys.modules["plugins_of_a_test"])["bad"] = replace(VALUES["worker"], settings=cls)
    with pytest.raises((ConfigError, PluginError)) as caught:
        configure("-k", "plugins_of_a_test:bad")
    assert words in str(caught.value)


def test_two_plugins_of_one_name_with_settings(configure: Any) -> None:
    vars(sys.modules["plugins_of_a_test"])["twin"] = replace(VALUES["logger"], name="pooled")
    twin = entry("loggers", "twin")
    configuration = configure("--pooled-pool", "7", plugins=[POOLED, twin])
    assert any("two plugins are called 'pooled'" in line for line in configuration.warnings)
    both = replace(VALUES["logger"], name="pooled", settings=PoolSettings, wanted=lambda own: own.pool > 7)
    vars(sys.modules["plugins_of_a_test"])["twin"] = both
    configuration = configure("-k", "pooled", "--pooled-pool", "8", plugins=[POOLED, twin])
    assert (configuration.worker.name, configuration.logger.name) == ("pooled", "pooled")
    assert configuration.own["pooled"].pool == 8


def test_a_plugins_bad_values(configure: Any) -> None:
    with pytest.raises(ConfigError, match="--pooled-pool 70: must be at most 10"):
        configure("--pooled-pool", "70", plugins=[POOLED])
    with pytest.raises(ConfigError, match="did you mean --pooled-pool"):
        configure("--pooled-pol", "7", plugins=[POOLED])
    with pytest.raises(ConfigError, match="did you mean pooled_pool"):
        configure(toml="[pooled]\npoll = 3", plugins=[POOLED])


def test_a_table_of_a_plugin_that_is_not_installed(configure: Any) -> None:
    assert "http2_max_frame_size has no effect" in configure(toml="[http2]\nmax_frame_size = 9").warnings[0]
    with pytest.raises(ConfigError, match="pip install hostler-dirty"):
        configure(toml="[dirty]\napps = ['a:B']")


def test_settings_of_an_inactive_plugin(configure: Any) -> None:
    configuration = configure("--pooled-pool", "7", plugins=[POOLED])
    assert configuration.own == {}
    assert configuration.warnings == ("pooled_pool has no effect: the plugin pooled is not in use",)


def test_disabled_plugins(configure: Any) -> None:
    for sources in (
        {"argv": ("--disabled-plugins", "pooled")},
        {"environ": {"HOSTLER_DISABLED_PLUGINS": "*"}},
    ):
        with pytest.raises(PluginError, match="disabled"):
            configure(
                "-k", "pooled", *sources.get("argv", ()), environ=sources.get("environ"), plugins=[POOLED]
            )


def test_threads_select_gthread(configure: Any) -> None:
    gthread = entry("workers", "gthread", dist="hostler-gthread")
    assert configure("--threads", "4", plugins=[gthread]).worker.name == "gthread"
    configuration = configure("-k", "sync", "--threads", "4", plugins=[gthread])
    assert configuration.worker.name == "gthread"
    assert "gthread is taken" in configuration.warnings[0]
    with pytest.raises(PluginError, match="pip install hostler-gthread"):
        configure("--threads", "4")


def test_threads_without_effect(configure: Any) -> None:
    loop = entry("workers", "asgi", dist="hostler-asgi")
    assert configure("-k", "asgi", "--threads", "4", plugins=[loop]).warnings == (
        "threads has no effect with the worker asgi",
    )
    assert configure("-k", "pooled", "--threads", "4", plugins=[POOLED]).warnings == ()


def test_protocols(configure: Any) -> None:
    h2 = entry("protocols", "http2", "h2", "hostler-http2")
    gate = entry("protocols", "gate")
    names = [one.name for one in configure(plugins=[h2, gate]).protocols]
    assert names == ["http1"]
    pooled = configure("-k", "pooled", "--http-protocols", "h2,h1", plugins=[h2, gate, POOLED])
    assert [one.name for one in pooled.protocols] == ["http2", "http1"]
    assert [one.name for one in configure("-b", "gate://127.0.0.1:1", plugins=[gate]).protocols] == [
        "http1",
        "gate",
    ]
    assert "gate" in [one.name for one in configure("--protocol", "gate", plugins=[gate]).protocols]
    listens = configure(file="listen = [{'bind': 'gate+unix:/tmp/x'}]", plugins=[gate])
    assert "gate" in [one.name for one in listens.protocols]


def test_a_worker_that_does_not_multiplex(configure: Any) -> None:
    h2 = entry("protocols", "http2", "h2", "hostler-http2")
    configuration = configure("--http-protocols", "h2,h1", plugins=[h2])
    assert configuration.warnings == ("http_protocols: the worker sync does not serve h2",)
    with pytest.raises(ConfigError, match="the worker sync cannot serve http2"):
        configure("--http-protocols", "h2", plugins=[h2])


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--http-protocols", "h2,h1"), "pip install hostler-http2"),
        (("--http-protocols", "h3"), "'h3' is not known; installed: h1"),
        (("--protocol", "uwsgi"), "pip install hostler-uwsgi"),
        (("--protocol", "fastcgi"), "no protocol speaks 'fastcgi'"),
        (("-b", "gopher://127.0.0.1:70"), "no protocol speaks 'gopher'"),
        (("-b", "127.0.0.1:99999"), "99999"),
        (("-k", "gevent"), "pip install hostler-gevent"),
        (("--chdir", "/no/such/place"), "no directory"),
        (("--certfile", "none.pem"), "there is no file 'none.pem'"),
        (("--keyfile", "/etc/passwd"), "certfile is not"),
        (("--reload", "--reload-engine", "kqueue"), "no reloader is named 'kqueue'"),
    ],
)
def test_what_cannot_be(configure: Any, argv: tuple[str, ...], words: str) -> None:
    with pytest.raises((ConfigError, PluginError)) as caught:
        configure(*argv)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_services(configure: Any) -> None:
    errand = entry("services", "errand", "service")
    assert configure(plugins=[errand]).services == ()
    configuration = configure("--errand-host", "x", plugins=[errand])
    assert [one.name for one in configuration.services] == ["errand"]
    assert configuration.own["errand"] == TextSettings("x")
    with pytest.raises(ConfigError, match="bad is bad"):
        configure("--errand-host", "bad", plugins=[errand])


def test_loggers(configure: Any) -> None:
    metrics = entry("loggers", "metrics", "logger")
    assert configure(plugins=[metrics]).logger.name == "std"
    assert configure("--metrics-host", "x", plugins=[metrics]).logger.name == "metrics"
    assert configure("--logger-class", "metrics", plugins=[metrics]).logger.name == "metrics"


def test_reloader(configure: Any) -> None:
    assert configure().reloader is None
    assert configure("--reload").reloader.name == "auto"
    assert configure("--reload", "--reload-engine", "poll").reloader.name == "poll"


def test_hooks_are_checked(configure: Any) -> None:
    with pytest.raises(ConfigError, match=r"hostler.conf.py: post_fork = .* takes 2 argument"):
        configure(file="def post_fork(worker): pass")
    with pytest.raises(ConfigError, match="names no function"):
        configure(file="post_fork = 'no_such_module_here.fork'")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--max-requests-jitter", "5"), "without max_requests"),
        (("--initgroups",), "without user"),
        (("--root-path", "/x"), "root_path has no effect"),
        (("--access-log-json", "--access-logformat", "x"), "access_log_format has no effect"),
        (("--proxy-allow-from", "::1"), "proxy_protocol is off"),
        (("--forwarded-allow-ips", "*"), "every client"),
        (("--timeout", "1"), "healthy ones may be ended"),
        (("--workers", "0"), "nothing is served"),
        (("--reload", "--preload"), "preload_app keeps"),
        (("--paste", "x.ini", "a:b"), "paste names another"),
        (("--paste-global", "a=b"), "without paste"),
        (("--log-syslog-prefix", "x"), "syslog_prefix has no effect without syslog"),
        (("-R",), "without daemon"),
    ],
)
def test_warnings(configure: Any, argv: tuple[str, ...], words: str) -> None:
    warnings = configure(*argv).warnings
    assert len(warnings) == 1
    assert words in warnings[0]


def test_no_warnings(configure: Any) -> None:
    argv = (
        "--reload",
        "--reload-engine",
        "poll",
        "--log-syslog",
        "--log-syslog-prefix",
        "x",
        "--timeout",
        "0",
    )
    assert configure(*argv).warnings == ()
    tables = "listen = [{'bind': ':1', 'proxy_protocol': 'auto'}]\nproxy_allow_ips = '::1'"
    assert configure(file=tables).warnings == ()


def test_chdir_is_absolute(configure: Any, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    assert configure("--chdir", "inner").settings.chdir == str(tmp_path / "inner")


def test_rebuild(configure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload reads the file anew, with the arguments, environment and directory of the start."""
    from hostler._configuration import build

    (tmp_path / "hostler.conf.py").write_text("workers = 2\ntimeout = 9\n")
    environ = {"HOSTLER_TIMEOUT": "8"}
    first = build(["--backlog", "77"], environ=environ, directory=str(tmp_path))
    environ["HOSTLER_TIMEOUT"] = "1"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "hostler.conf.py").write_text("workers = 3\n")
    second = first.rebuild()
    assert (second.settings.workers, second.settings.timeout, second.settings.backlog) == (3, 8, 77)
    assert first.settings.workers == 2
    (tmp_path / "hostler.conf.py").write_text("workers = 'x'\n")
    with pytest.raises(ConfigError, match=r"hostler\.conf\.py: workers"):
        second.rebuild()
    (tmp_path / "hostler.conf.py").write_text("workers = 3\n")
    assert replace(second.rebuild(), start=None) == replace(second, start=None)
