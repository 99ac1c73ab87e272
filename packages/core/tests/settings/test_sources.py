"""Where values come from, in which order, and how each mistake is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostler.errors import ConfigError, UsageError


def fails(configure: Any, *argv: str, kind: type[ConfigError] = ConfigError, **sources: Any) -> str:
    with pytest.raises(kind) as caught:
        configure(*argv, **sources)
    text = str(caught.value)
    assert "\n" not in text
    return text


# -- precedence ----------------------------------------------------------------------------------------


def test_defaults(configure: Any) -> None:
    configuration = configure()
    assert configuration.settings.workers == 1
    assert configuration.settings.bind == ("127.0.0.1:8000",)
    assert configuration.origins == {}
    assert configuration.warnings == ()


def test_order_of_sources(configure: Any) -> None:
    sources: dict[str, Any] = {"file": "workers = 2"}
    assert configure(**sources).settings.workers == 2
    sources["environ"] = {"WEB_CONCURRENCY": "3"}
    assert configure(**sources).settings.workers == 3
    sources["environ"]["HOSTLER_WORKERS"] = "4"
    assert configure(**sources).settings.workers == 4
    sources["environ"]["HOSTLER_CMD_ARGS"] = "--workers 5"
    assert configure(**sources).settings.workers == 5
    configuration = configure("-w", "6", **sources)
    assert configuration.settings.workers == 6
    assert configuration.origins["workers"].where == "-w"


def test_a_variable_that_overrides_the_file_is_told(configure: Any) -> None:
    warnings = configure(file="workers = 2", environ={"WEB_CONCURRENCY": "3"}).warnings
    assert any("WEB_CONCURRENCY=3 comes before workers = 2" in line for line in warnings)
    assert configure(file="workers = 3", environ={"WEB_CONCURRENCY": "3"}).warnings == ()


def test_lists_of_a_later_source_replace(configure: Any) -> None:
    configuration = configure("-b", ":1", "-b", ":2", file="bind = [':3']")
    assert configuration.settings.bind == (":1", ":2")


def test_port_moves_the_default_only(configure: Any) -> None:
    assert configure(environ={"PORT": "9000"}).settings.bind == ("0.0.0.0:9000",)
    assert configure(file="bind = ':1'", environ={"PORT": "9000"}).settings.bind == (":1",)
    assert "PORT=x" in fails(configure, environ={"PORT": "x"})


def test_empty_variables_are_not_set(configure: Any) -> None:
    configuration = configure(environ={"PORT": "", "WEB_CONCURRENCY": "", "HOSTLER_CMD_ARGS": ""})
    assert configuration.settings.workers == 1


def test_a_variable_for_each_setting(configure: Any) -> None:
    configuration = configure(
        environ={"HOSTLER_BIND": ":1 '[::1]:2'", "HOSTLER_PRELOAD_APP": "yes", "HOSTLER_TIMEOUT": "1m"}
    )
    assert configuration.settings.bind == (":1", "[::1]:2")
    assert configuration.settings.preload_app is True
    assert configuration.settings.timeout == 60
    assert configuration.origins["timeout"].where == "HOSTLER_TIMEOUT"


def test_a_slip_in_a_variable_is_told(configure: Any) -> None:
    configuration = configure(environ={"HOSTLER_WORKRES": "4"})
    assert "HOSTLER_WORKERS" in configuration.warnings[0]


def test_gunicorns_variable(configure: Any) -> None:
    configuration = configure(environ={"GUNICORN_CMD_ARGS": "--workers 3 --bind=:9"})
    assert configuration.settings.workers == 3
    assert configuration.settings.bind == (":9",)
    assert len(configuration.warnings) == 1
    assert "HOSTLER_CMD_ARGS" in configuration.warnings[0]


def test_the_application(configure: Any) -> None:
    assert configure(file="wsgi_app = 'a:b'").settings.wsgi_app == "a:b"
    assert configure("c:d", file="wsgi_app = 'a:b'").settings.wsgi_app == "c:d"
    assert configure("--workers", "2", "c:d", "--timeout", "3").settings.wsgi_app == "c:d"


def test_switches_can_be_taken_back(configure: Any) -> None:
    assert configure("--preload").settings.preload_app is True
    assert configure("--no-preload", file="preload_app = True").settings.preload_app is False
    assert configure("--no-sendfile").settings.sendfile is False
    assert configure(file="sendfile = True").settings.sendfile is True
    assert configure(environ={"SENDFILE": "no"}).settings.sendfile is False
    assert configure("--no-server-header").settings.server_header is False
    assert configure("--no-control-socket").settings.control_socket_disable is True


def test_the_bare_flag(configure: Any) -> None:
    assert configure("--proxy-protocol").settings.proxy_protocol == "auto"
    assert configure("--proxy-protocol", "v1").settings.proxy_protocol == "v1"


# -- files ---------------------------------------------------------------------------------------------


def test_python_file(configure: Any) -> None:
    configuration = configure(
        file="""
import multiprocessing
import os as _os
from collections import OrderedDict

cores = multiprocessing.cpu_count()
timeout_str = "40"
HOST = "127.0.0.1"
bind = HOST + ":8001"
timeout = int(timeout_str)
keyfile = None

def helper():
    return 1

def post_fork(server, worker):
    pass

class Thing:
    pass
"""
    )
    assert configuration.settings.bind == ("127.0.0.1:8001",)
    assert configuration.settings.timeout == 40
    assert configuration.settings.keyfile is None
    assert configuration.settings.post_fork.__name__ == "post_fork"
    assert configuration.warnings == ()


WIDELY_COPIED = """
import json
import os

workers_per_core_str = os.getenv("WORKERS_PER_CORE", "1")
max_workers_str = os.getenv("MAX_WORKERS")
use_max_workers = None
web_concurrency_str = os.getenv("NO_SUCH_VARIABLE", None)
host = os.getenv("HOST", "0.0.0.0")
port = os.getenv("NO_SUCH_PORT", "80")
bind_env = os.getenv("BIND", None)
use_loglevel = os.getenv("LOG_LEVEL", "info")
use_bind = bind_env if bind_env else f"{host}:{port}"
cores = 2
workers_per_core = float(workers_per_core_str)
accesslog_var = os.getenv("ACCESS_LOG", "-")
use_accesslog = accesslog_var or None
errorlog_var = os.getenv("ERROR_LOG", "-")
use_errorlog = errorlog_var or None
graceful_timeout_str = os.getenv("GRACEFUL_TIMEOUT", "120")
timeout_str = os.getenv("TIMEOUT", "120")
keepalive_str = os.getenv("KEEP_ALIVE", "5")
env = os.environ.get("ENV", "production")
name = "myapp"

log_config = {"version": 1}
groups = ["a", "b"]

loglevel = use_loglevel
logconfig_dict = log_config
workers = max(int(workers_per_core * cores), 2)
bind = use_bind
errorlog = use_errorlog
worker_tmp_dir = "/dev/shm"
accesslog = use_accesslog
graceful_timeout = int(graceful_timeout_str)
timeout = int(timeout_str)
keepalive = int(keepalive_str)
log_data = {"loglevel": loglevel, "workers": workers}
"""
"""The shape of a configuration file that many container images carry: names of its own beside the settings."""


def test_a_file_with_names_of_its_own(configure: Any) -> None:
    configuration = configure(file=WIDELY_COPIED)
    assert configuration.settings.workers == 2
    assert configuration.settings.bind == ("0.0.0.0:80",)
    assert [line for line in configuration.warnings if "worker_tmp_dir" not in line] == []
    assert len(configuration.warnings) == 1


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("wrokers = 4", "workers"),
        ("worker = 4", "workers"),
        ("time_out = 4", "timeout"),
        ("keep_alive = 4", "keepalive"),
        ("log_level = 'info'", "loglevel"),
        ("access_logfile = '-'", "accesslog"),
        ("preload = True", "preload_app"),
        ("def post_frok(server, worker): pass", "post_fork"),
        ("def when_raedy(server): pass", "when_ready"),
    ],
)
def test_slips_in_a_python_file(configure: Any, line: str, meant: str) -> None:
    text = fails(configure, file=line)
    assert text.startswith("hostler.conf.py: ")
    assert f"did you mean {meant}?" in text


def test_a_function_that_looks_like_a_hook(configure: Any) -> None:
    configuration = configure(file="def on_startup(server): pass")
    assert "on_startup is not a hook" in configuration.warnings[0]


def test_none_is_not_set(configure: Any) -> None:
    configuration = configure(file="workers = None\nreload = None")
    assert configuration.settings.workers == 1
    assert configuration.origins == {}


def test_toml_file(configure: Any) -> None:
    configuration = configure(
        toml="""
workers = 3
worker-class = "sync"
bind = [":1", ":2"]
[logconfig_dict]
version = 1
[[listen]]
bind = "unix:/tmp/x"
"""
    )
    assert configuration.settings.workers == 3
    assert configuration.settings.logconfig_dict == {"version": 1}
    assert configuration.settings.listen == ({"bind": "unix:/tmp/x"},)
    assert configuration.origins["workers"].where == "hostler.toml"


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("wrokers = 1", "did you mean workers?"),
        ("host = 'x'", "'host' is no setting"),
        ("workers = 'many'", "workers = 'many': must be a whole number"),
        ("workers = ", "hostler.toml: "),
        ("[nothing]\nx = 1", "'nothing' is no setting"),
        ("timeout = 1979-05-27", "timeout"),
    ],
)
def test_mistakes_in_toml(configure: Any, toml: str, words: str) -> None:
    assert words in fails(configure, toml=toml)


def test_pyproject(configure: Any, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.hostler]\nworkers = 7\n")
    configuration = configure()
    assert configuration.settings.workers == 7
    assert configuration.origins["workers"].where == "pyproject.toml [tool.hostler]"
    (tmp_path / "pyproject.toml").write_text("[tool.other]\nworkers = 7\n")
    assert configure().settings.workers == 1


def test_only_one_file_is_read(configure: Any) -> None:
    configuration = configure(file="workers = 2", toml="workers = 3")
    assert configuration.settings.workers == 2
    assert "hostler.toml is not read" in configuration.warnings[0]


def test_gunicorns_file_is_read_when_named(configure: Any, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("workers = 4")
    configuration = configure()
    assert configuration.settings.workers == 1
    assert "-c gunicorn.conf.py" in configuration.warnings[0]
    for text in ("gunicorn.conf.py", "file:gunicorn.conf.py", str(tmp_path / "gunicorn.conf.py")):
        assert configure("-c", text).settings.workers == 4


def test_file_as_module(configure: Any, tmp_path: Path) -> None:
    (tmp_path / "my_settings_of_test.py").write_text("workers = 5\n")
    assert configure("-c", "python:my_settings_of_test").settings.workers == 5
    assert "python:no_such" in fails(configure, "-c", "python:no_such_module_here")


def test_file_named_in_the_environment(configure: Any, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("workers = 1\n")
    (tmp_path / "two.py").write_text("workers = 2\n")
    environ = {"HOSTLER_CMD_ARGS": "-c one.py"}
    assert configure(environ=environ).settings.workers == 1
    assert configure("-c", "two.py", environ=environ).settings.workers == 2


def test_a_file_may_import_its_neighbours(configure: Any, tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_settings.py").write_text("count = 3\n")
    assert configure(file="from neighbour_of_settings import count\nworkers = count").settings.workers == 3


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("x = 1\nraise ValueError('no')", "line 2: ValueError: no"),
        ("x = 1\nif:", "line 2: SyntaxError"),
        ("import sys\nsys.exit(3)", "line 2: SystemExit: 3"),
        ("def f():\n    1 / 0\n\nf()", "line 2: ZeroDivisionError"),
    ],
)
def test_a_file_that_fails(configure: Any, file: str, words: str) -> None:
    text = fails(configure, file=file)
    assert text.startswith("hostler.conf.py: ")
    assert words in text


def test_a_file_that_is_not_there(configure: Any) -> None:
    assert "there is no file" in fails(configure, "-c", "none.py")
    assert "there is no file" in fails(configure, "-c", ".")


def test_no_file(configure: Any) -> None:
    assert configure("-c", "/dev/null", file="workers = 3").settings.workers == 1
    assert configure("-c", "", file="workers = 3").settings.workers == 3


def test_a_file_that_cannot_be_read(configure: Any, tmp_path: Path) -> None:
    (tmp_path / "bytes.py").write_bytes(b"x = '\xff'\n\0")
    assert fails(configure, "-c", "bytes.py").startswith("bytes.py: ")
    (tmp_path / "bytes.toml").write_bytes(b"x = '\xff'\n")
    assert fails(configure, "-c", "bytes.toml").startswith("bytes.toml: ")


# -- who said it ---------------------------------------------------------------------------------------


def test_a_bad_value_names_its_source(configure: Any) -> None:
    assert fails(configure, environ={"WEB_CONCURRENCY": "x"}) == "WEB_CONCURRENCY=x: must be a whole number"
    assert fails(configure, environ={"HOSTLER_CMD_ARGS": "-w x"}) == (
        "HOSTLER_CMD_ARGS -w x: must be a whole number"
    )
    assert fails(configure, "-w", "x", kind=UsageError) == "-w x: must be a whole number"
    assert fails(configure, file="workers = 'x'") == (
        "hostler.conf.py: workers = 'x': must be a whole number"
    )


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--wrokers", "3"), "--wrokers is no setting; did you mean --workers?"),
        (("--wrokers=3",), "--wrokers is no setting; did you mean --workers?"),
        (("--work", "3"), "--work is no setting; did you mean --workers?"),
        (("--worker", "3"), "did you mean --workers?"),
        (("--no-such-thing", "3"), "--no-such-thing is no setting"),
        (("-x",), "-x"),
        (("--workers",), "expected one argument"),
        (("a:b", "c:d"), "unrecognized arguments: c:d"),
    ],
)
def test_mistakes_on_the_command_line(configure: Any, argv: tuple[str, ...], words: str) -> None:
    assert words in fails(configure, *argv, kind=UsageError)


def test_the_value_of_an_unknown_flag_is_not_taken_for_the_application(configure: Any) -> None:
    assert "--gevent-pool" in fails(configure, "--gevent-pool", "a:b", kind=UsageError)


def test_mistakes_in_a_variable_with_arguments(configure: Any) -> None:
    text = fails(configure, environ={"HOSTLER_CMD_ARGS": "--wrokers 3"}, kind=UsageError)
    assert text == "HOSTLER_CMD_ARGS: --wrokers is no setting; did you mean --workers?"


def test_quotes_that_do_not_close(configure: Any) -> None:
    assert "HOSTLER_CMD_ARGS" in fails(configure, environ={"HOSTLER_CMD_ARGS": "--name 'x"})
