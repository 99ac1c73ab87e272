"""gunicorn's settings that plugins have here: with the packages installed, by file, flag and gunicorn's meaning.

The core's part of the list, and the count of the whole, is in the core's own tests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostler._configuration import Configuration, build

Configure = Callable[..., Configuration]

ASGI = ("-k", "asgi")
HTTP2 = ("-k", "gthread", "--http-protocols", "h2,h1")
DIRTY = ("--dirty-app", "app:App", "--dirty-workers", "1")
STATSD = ("--statsd-host", "localhost:8125")

VALUES: list[tuple[str, tuple[str, ...], str, str, str, str, Any, Any]] = [
    # name, arguments that make the plugin active, plugin, field, flag, its value, value in a file, then
    ("asgi_loop", ASGI, "asgi", "loop", "--asgi-loop", "asyncio", "asyncio", "asyncio"),
    ("asgi_lifespan", ASGI, "asgi", "lifespan", "--asgi-lifespan", "on", "on", "on"),
    (
        "asgi_disconnect_grace_period", ASGI, "asgi", "disconnect_grace_period",
        "--asgi-disconnect-grace-period", "4", 4, 4.0,
    ),
    (
        "websocket_max_message_size", ASGI, "asgi", "websocket_max_message_size",
        "--websocket-max-message-size", "1000", 1000, 1000,
    ),
    ("http2_cleartext", HTTP2, "http2", "cleartext", "--http2-cleartext", "prior-knowledge", "off", True),
    (
        "http2_max_concurrent_streams", HTTP2, "http2", "max_concurrent_streams",
        "--http2-max-concurrent-streams", "7", 7, 7,
    ),
    (
        "http2_initial_window_size", HTTP2, "http2", "initial_window_size",
        "--http2-initial-window-size", "70000", 70000, 70000,
    ),
    ("http2_max_frame_size", HTTP2, "http2", "max_frame_size", "--http2-max-frame-size", "20000", 20000, 20000),
    (
        "http2_max_header_list_size", HTTP2, "http2", "max_header_list_size",
        "--http2-max-header-list-size", "9000", 9000, 9000,
    ),
    ("dirty_apps", DIRTY, "dirty", "apps", "--dirty-app", "app:App", ["app:App"], ("app:App",)),
    ("dirty_workers", DIRTY, "dirty", "workers", "--dirty-workers", "2", 2, 2),
    ("dirty_timeout", DIRTY, "dirty", "timeout", "--dirty-timeout", "9", 9, 9.0),
    ("dirty_threads", DIRTY, "dirty", "threads", "--dirty-threads", "3", 3, 3),
    ("dirty_graceful_timeout", DIRTY, "dirty", "graceful_timeout", "--dirty-graceful-timeout", "9", 9, 9.0),
    (
        "statsd_host", (), "statsd", "host", "--statsd-host", "localhost:8125", "localhost:8125",
        ("localhost", 8125),
    ),
    ("statsd_prefix", STATSD, "statsd", "prefix", "--statsd-prefix", "x", "x", "x"),
    ("dogstatsd_tags", STATSD, "statsd", "tags", "--dogstatsd-tags", "a:1", "a:1", "a:1"),
    ("enable_backlog_metric", STATSD, "statsd", "backlog", "--enable-backlog-metric", "", True, True),
]  # fmt: skip

HOOKS = {
    "on_dirty_starting": ("on_starting", 1),
    "dirty_post_fork": ("post_fork", 2),
    "dirty_worker_init": ("worker_init", 1),
    "dirty_worker_exit": ("worker_exit", 2),
}


@pytest.fixture
def configure(tmp_path: Path) -> Iterator[Configure]:
    """The configuration of these arguments and this file, with the plugins that are installed."""
    before = list(sys.path)

    def run(*argv: str, file: str = "") -> Configuration:
        (tmp_path / "gunicorn.conf.py").write_text(file)
        return build(("-c", "gunicorn.conf.py", *argv), environ={}, directory=str(tmp_path))

    yield run
    sys.path[:] = before
    sys.modules.pop("__config__", None)


@pytest.mark.parametrize(("name", "active", "plugin", "field", "flag", "text", "value", "expected"), VALUES)
def test_by_flag(
    configure: Configure, name: str, active: tuple[str, ...], plugin: str, field: str, flag: str, text: str,
    value: Any, expected: Any,
) -> None:  # fmt: skip
    if flag == "--dirty-app":
        active = ("--dirty-workers", "1")
    configuration = configure(*active, *([flag, text] if text else [flag]))
    assert getattr(configuration.own[plugin], field) == expected


@pytest.mark.parametrize(("name", "active", "plugin", "field", "flag", "text", "value", "expected"), VALUES)
def test_by_file(
    configure: Configure, name: str, active: tuple[str, ...], plugin: str, field: str, flag: str, text: str,
    value: Any, expected: Any,
) -> None:  # fmt: skip
    if name in ("dirty_apps", "dirty_workers"):
        active = ()
        file = f"dirty_apps = ['app:App']\ndirty_workers = 1\n{name} = {value!r}"
    else:
        file = f"{name} = {value!r}"
    configuration = configure(*active, file=file)
    expected = False if name == "http2_cleartext" else expected
    assert getattr(configuration.own[plugin], field) == expected
    assert configuration.warnings == ()


@pytest.mark.parametrize("name", HOOKS)
def test_hooks(configure: Configure, name: str) -> None:
    field, count = HOOKS[name]
    arguments = ", ".join(f"a{number}" for number in range(count))
    configuration = configure(*DIRTY, file=f"def {name}({arguments}):\n    return 'called'\n")
    assert getattr(configuration.own["dirty"], field)(*range(count)) == "called"
    assert configuration.warnings == ()


def test_the_uwsgi_protocol(configure: Configure) -> None:
    configuration = configure("--protocol", "uwsgi", "--uwsgi-allow-from", "127.0.0.1")
    assert "uwsgi" in [one.name for one in configuration.protocols]


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent", "eventlet", "asgi"])
def test_workers(configure: Configure, worker: str) -> None:
    assert configure("-k", worker).worker.name == worker


def test_all_settings_of_gunicorn_in_one_file_without_their_plugins_in_use(configure: Configure) -> None:
    """A file that tunes what is not used runs, with one line for each setting that does nothing."""
    lines = [
        f"{name} = {value!r}" for name, _, plugin, _, _, _, value, _ in VALUES if plugin in ("asgi", "http2")
    ]
    configuration = configure(file="\n".join(lines))
    assert len(configuration.warnings) == len(lines)
    assert all("is not in use" in line for line in configuration.warnings)
