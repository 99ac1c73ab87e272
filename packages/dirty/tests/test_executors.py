"""Every executor passes the same suite by the real command line: the pool, the inline one, and a stranger's."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hostler_dirty import DirtyConfigError, executors
from hostler_dirty.conformance import APPS, CHECKS, LIMIT, serving
from hostler_dirty.testing import inline
from pool_harness import wait_for

HERE = Path(__file__).parent


def distribution(site, name, points):
    """What an installer leaves of a distribution, as far as entry points go."""
    directory = site / f"{name.replace('-', '_')}-1.0.dist-info"
    directory.mkdir(parents=True)
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (directory / "entry_points.txt").write_text(points)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A directory in which a stranger's executor is installed."""
    site = tmp_path_factory.mktemp("site")
    distribution(site, "acme-threads", "[hostler.dirty_executors]\nthreads = acme_threads:executor\n")
    shutil.copy(HERE / "pool_threads.py", site / "acme_threads.py")
    return site


@pytest.fixture(scope="module", params=["local", "inline", "threads"])
def server(request, tmp_path_factory, site):
    """One server per executor, for all checks."""
    directory = tmp_path_factory.mktemp("s")
    with serving(request.param, directory, env={"PYTHONPATH": str(site)}) as server:
        server.site = site
        yield server


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(server, check):
    server.check(check)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_inline_in_a_test_of_its_user(check):
    """Without a server, as `hostler_dirty.testing.inline` runs apps."""
    with inline(*APPS, max_payload=LIMIT):
        check()


def test_a_check_that_does_not_hold_is_told(server):
    """With the traceback, so that the suite is of use to who writes an executor."""
    assert server.get("no_such_check")[0] == 404
    with pytest.raises(AssertionError, match="no such check"):
        server.check("no_such_check")


@pytest.mark.parametrize("executor", ["local", "inline", "threads"])
def test_apps_are_closed_at_the_end(executor, tmp_path, site):
    """Once each, when the server stops."""
    notes = tmp_path / "notes"
    (site / "acme_closing.py").write_text(
        "import os\nfrom pathlib import Path\nfrom hostler_dirty import DirtyApp\n"
        "class Closing(DirtyApp):\n    workers = 1\n"
        "    def init(self):\n        self.note('init')\n    def close(self):\n        self.note('close')\n"
        "    def note(self, word):\n        with open(os.environ['ACME_NOTES'], 'a') as file:\n"
        "            file.write(f'{word} {os.getpid()}\\n')\n"
    )
    more = ("--dirty-app", "acme_closing:Closing")
    with serving(executor, tmp_path, more, {"PYTHONPATH": str(site), "ACME_NOTES": str(notes)}):
        (begun,) = notes.read_text().splitlines()
    begun_word, pid = begun.split()
    assert begun_word == "init"
    assert notes.read_text().splitlines() == [begun, f"close {pid}"]


def test_an_executor_changes_with_a_restart_only(tmp_path, site):
    """A reload that names another one fails, says so, and the server goes on as it is."""
    configuration = tmp_path / "configuration.py"
    configuration.write_text("dirty_executor = 'inline'\n")
    with serving("", tmp_path, ("-c", str(configuration)), {"PYTHONPATH": str(site)}) as server:
        configuration.write_text("dirty_executor = 'threads'\n")
        server.process.send_signal(signal.SIGHUP)
        said = "dirty_executor changes with a restart only: it is inline, not threads"
        wait_for(lambda: said in server.logged(), said)
        server.check("calls_can_be_awaited")


def hostler(site, *words):
    """Run the command; what it says on the error stream, and its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "hostler", "--dirty-app", APPS[0], "--dirty-workers", "1", *words, "x:y"],
        capture_output=True, text=True, timeout=60, check=False, cwd=site,
        env={"PYTHONPATH": str(site), "PATH": ""},
    )  # fmt: skip
    return done.stderr.strip(), done.returncode


def test_an_executor_that_is_not_there(site):
    """One line before any fork, with what is there."""
    text, code = hostler(site, "--dirty-executor", "thread")
    assert code != 0
    assert "\n" not in text
    assert "no dirty executor is named 'thread'" in text
    assert "entry-point group hostler.dirty_executors" in text
    with pytest.raises(DirtyConfigError):
        executors.find("nowhere.to.be:found")


@pytest.mark.parametrize("server", ["local", "threads"], indirect=True)
def test_commands_go_to_the_executor(server):
    """`server ctl dirty` asks whichever is chosen."""
    done = subprocess.run(
        [sys.executable, "-m", "hostler", "ctl", "--control-socket", str(server.log.parent / "control"), "--json",
         "dirty", "status"],
        capture_output=True, text=True, timeout=60, check=False,
        env={"PYTHONPATH": str(server.site), "PATH": ""},
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["ok"]
    assert {app.removesuffix(":2") for app in told["apps"]} == set(APPS)
