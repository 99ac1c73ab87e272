"""The command itself, in processes of its own: answers, errors of one line, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hostler.__about__ import __version__

Run = Callable[..., "subprocess.CompletedProcess[str]"]

APPLICATION = """
import os
def application(environ, start_response):
    return []
def factory(word):
    return application
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "app_of_a_test.py").write_text(APPLICATION)

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOSTLER_", "GUNICORN_"))}
        for name in ("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "SENDFILE"):
            kept.pop(name, None)
        return subprocess.run(
            [sys.executable, "-m", "hostler", *arguments],
            cwd=tmp_path,
            env={**kept, "COLUMNS": "100", "HOSTLER_DISABLE_PLUGINS": "*", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("hostler: error: ")
    return lines[0]


def test_version(run: Run) -> None:
    for flag in ("--version", "-v"):
        done = run(flag)
        assert (done.returncode, done.stdout.strip()) == (0, f"hostler {__version__}")


def test_help(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    for text in (
        "--worker-class",
        "--bind",
        "--workers INT",
        "Worker processes",
        "TLS",
        "%(h)s",
        "[default 30]",
    ):
        assert text in done.stdout
    assert "on_starting" not in done.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("config",)])
def test_questions_import_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """`-X importtime` names every module that was imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hostler", *arguments],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "hostler._cli" in modules
    for heavy in ("gevent", "eventlet", "asyncio", "ssl", "h2", "httptools", "multiprocessing", "uvloop"):
        assert heavy not in modules


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--wrokers", "3", "a:b"), 2, "did you mean --workers?"),
        (("--workers", "many", "a:b"), 2, "--workers many: must be a whole number"),
        (("--timeout",), 2, "expected one argument"),
        (("-k", "nothing-like-it", "a:b"), 2, "no worker class is named"),
        (("-k", "tornado", "a:b"), 2, "cannot be used"),
        (("-k", "json:loads", "a:b"), 2, "not a WorkerType"),
        (("-c", "none.py"), 1, "there is no file"),
        (("-b", "host:port:x", "a:b"), 1, "bind 'host:port:x'"),
        (("--certfile", "none.pem", "a:b"), 1, "none.pem"),
        (("--check-config", "app_of_a_test:none"), 1, "has no 'none'"),
        (("--check-config",), 1, "no application"),
        (("plugins", "dance"), 2, "unknown words"),
        (("plugins", "new", "worker"), 2, "a kind"),
    ],
)
def test_errors_are_one_line(run: Run, arguments: tuple[str, ...], code: int, words: str) -> None:
    assert words in one_line(run(*arguments), code)


def test_a_skeleton_without_the_testkit(tmp_path: Path) -> None:
    """What to install, in one line; the kit is hidden from the command where it is installed."""
    code = (
        "import sys; sys.modules['hostler_testkit'] = None; from hostler._cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "plugins", "new", "worker", "of-mine"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "-m pip install hostler-testkit" in line
    assert not list(tmp_path.iterdir())


def test_an_error_in_a_variable(run: Run) -> None:
    assert "WEB_CONCURRENCY=x: must be a whole number" in one_line(run("a:b", WEB_CONCURRENCY="x"), 1)


def test_an_error_in_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hostler.conf.py").write_text("wrokers = 3\n")
    assert "hostler.conf.py: wrokers is no setting; did you mean workers?" in one_line(run("a:b"), 1)
    (tmp_path / "hostler.conf.py").write_text("x = 1\n1 / 0\n")
    assert "line 2: ZeroDivisionError" in one_line(run("a:b"), 1)
    done = run("--log-level", "debug", "a:b")
    assert "Traceback" in done.stderr


def test_check_config(run: Run) -> None:
    done = run("--check-config", "app_of_a_test")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run("--check-config", "app_of_a_test:factory('x')").returncode == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("raise SystemExit(0)", "the application ended its process"),
        ("import os; os._exit(0)", "ended its process with code 0"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
        ("application = 5", "cannot be called"),
    ],
)
def test_check_config_of_what_fails(run: Run, tmp_path: Path, code: str, words: str) -> None:
    (tmp_path / "broken_app_of_a_test.py").write_text(code)
    done = run("--check-config", "broken_app_of_a_test")
    assert done.returncode == 1
    assert words in done.stderr.splitlines()[-1]


def test_check_config_of_an_application_that_hangs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hanging_app_of_a_test.py").write_text("import time; time.sleep(600)")
    done = run("--check-config", "--boot-timeout", "0.5", "hanging_app_of_a_test")
    assert "the application was not loaded in 0.5 s" in one_line(done, 1)


def test_check_config_of_a_worker_whose_code_is_broken(run: Run, tmp_path: Path) -> None:
    (tmp_path / "light_of_a_test.py").write_text(
        "from hostler.plugin import WorkerType\nworker = WorkerType('x', 'code_of_a_test:serve')\n"
    )
    (tmp_path / "code_of_a_test.py").write_text("import nothing_of_that_name\n")
    done = run("--check-config", "-k", "light_of_a_test:worker", "app_of_a_test")
    assert "code_of_a_test:serve cannot be imported: ModuleNotFoundError" in one_line(done, 1)


def test_check_config_tells_warnings(run: Run) -> None:
    done = run("--check-config", "--http-parser", "fast", "app_of_a_test")
    assert done.returncode == 0
    assert "http_parser has no effect" in done.stderr


def test_check_config_sets_the_stage(run: Run, tmp_path: Path) -> None:
    """The application is loaded where and as the workers would: directory, path, environment."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "from_lib_of_a_test.py").write_text("value = 1\n")
    (tmp_path / "inner" / "inner_app_of_a_test.py").write_text(
        "import os\nimport from_lib_of_a_test\nassert os.environ['WORD'] == 'a=b'\n"
        "assert os.path.basename(os.getcwd()) == 'inner'\n"
        "def application(environ, start_response): return []\n"
    )
    done = run(
        "--check-config", "--chdir", "inner", "--pythonpath", str(tmp_path / "lib"), "-e", "WORD=a=b",
        "inner_app_of_a_test",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_print_config(run: Run) -> None:
    done = run("--print-config", "-w", "3", "app_of_a_test")
    assert done.returncode == 0
    lines = {line.split(" = ")[0].strip(): line.split(" = ", 1)[1] for line in done.stdout.splitlines()}
    assert lines["workers"] == "3"
    assert lines["bind"] == "('127.0.0.1:8000',)"
    assert list(lines) == sorted(lines)
    assert run("--print-config", "app_of_a_test:none").returncode == 1


def test_config_tells_origins(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hostler.toml").write_text("timeout = 12\n")
    (tmp_path / "hooks.py").write_text("def post_fork(server, worker): pass\n")
    table = json.loads(run("config", "-w", "3", "--json", HOSTLER_BACKLOG="99").stdout)
    assert table["workers"]["origin"] == "command line: -w"
    assert table["timeout"] == {"value": 12.0, "origin": "file: hostler.toml", "plugin": None}
    assert table["backlog"]["origin"] == "environment: HOSTLER_BACKLOG"
    assert table["threads"]["origin"] == "default"
    done = run("config", "-c", "hooks.py")
    assert "<function post_fork of __config__>" in done.stdout
    assert done.returncode == 0


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    command = f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m hostler"
    for arguments, code in (("a:b", 1), ("plugins", 0)):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{command} {arguments}"],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "HOSTLER_DISABLE_PLUGINS": "*"},
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_a_reader_that_leaves(run: Run, tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m hostler config | true"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["hostler", "server"])
def test_the_scripts(tmp_path: Path, name: str) -> None:
    """Both names are the same command, and errors begin with the name that was typed."""
    script = Path(sys.executable).parent / name
    assert script.exists()
    done = subprocess.run(
        [str(script), "--wrokers"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{name}: error: ")
