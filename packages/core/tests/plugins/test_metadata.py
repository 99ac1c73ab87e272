"""Plugins of real distributions on Python's path, and the real command."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostler._distributions import entry_points
from hostler._plugins import scan, search_path

Make = Callable[..., Path]

WORKER = """
from dataclasses import dataclass
from hostler.plugin import WorkerType
from hostler.settings import integer, setting

@dataclass(frozen=True, slots=True)
class Own:
    pool: int = setting(5, kind=integer(1), help="Size of the pool, 100 % of it.")

worker = WorkerType("mine", "acme_code:serve", summary="a worker of a test", settings=Own)
"""
POINTS = {"hostler.workers": {"mine": "acme_mod:worker"}}


def test_scanning(site: Path, distribution: Make, tmp_path: Path) -> None:
    distribution("acme-worker", "1.0", POINTS)
    distribution("other", "2.0", {"console_scripts": {"x": "y:z"}})
    (site / "left_over-1.0.dist-info").mkdir()
    (site / "nameless-1.0.dist-info").mkdir()
    (site / "nameless-1.0.dist-info" / "METADATA").write_text("\n")
    (site / "nameless-1.0.dist-info" / "entry_points.txt").write_text("[hostler.workers]\nx = y:z\n")
    found = list(scan([str(site)]))
    assert [(e.group, e.name, e.dist, e.version) for e in found] == [
        ("hostler.workers", "mine", "acme-worker", "1.0")
    ]
    os.symlink(site, tmp_path / "again")
    assert len(list(scan([str(site), str(tmp_path / "again")]))) == 1


@pytest.mark.parametrize(
    ("directory", "about", "inside"),
    [
        ("a-1.dist-info", "METADATA", ""),
        ("a.egg-info", "PKG-INFO", ""),
        ("a-1-py3.egg", "PKG-INFO", "EGG-INFO"),
    ],
)
def test_what_installers_leave(tmp_path: Path, directory: str, about: str, inside: str) -> None:
    """Wheels, checkouts of old tools, eggs; comments and extras as the specification has them."""
    place = tmp_path / directory / inside
    place.mkdir(parents=True)
    (place / about).write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.5\n\nName: no field\n")
    (place / "entry_points.txt").write_text(
        "; a comment\n[other]\nno = no:no\n\n[hostler.workers]\n# another\n"
        "mine=acme:worker\n  two = acme.more:worker [extra]\nnothing\n[hostler.loggers]\nlog = acme:log\n"
    )
    (tmp_path / "acme.py").touch()
    found = [
        (e.group, e.name, e.value, e.dist, e.version) for e in scan([str(tmp_path), str(tmp_path / "none")])
    ]
    assert found == [
        ("hostler.workers", "mine", "acme:worker", "acme", "1.5"),
        ("hostler.workers", "two", "acme.more:worker [extra]", "acme", "1.5"),
        ("hostler.loggers", "log", "acme:log", "acme", "1.5"),
    ]


def test_the_scan_reads_as_the_standard_library_does() -> None:
    """On the distributions of this environment."""
    path = [entry for entry in sys.path if entry]
    theirs = {
        (point.group, point.name, point.value, dist.metadata["Name"], dist.version)
        for dist in importlib.metadata.distributions(path=path)
        for point in dist.entry_points
    }
    ours = {
        (point.group, point.name, point.value, point.dist, point.version) for point in entry_points(path, "")
    }
    assert ours == theirs
    assert ours


def test_the_first_of_two_versions_counts(site: Path, distribution: Make, tmp_path: Path) -> None:
    later = tmp_path / "later"
    distribution("acme-worker", "1.0", POINTS)
    distribution("Acme_Worker", "2.0", POINTS, where=later)
    assert [e.version for e in scan([str(site), str(later)])] == ["1.0"]
    assert [e.version for e in scan([str(later), str(site)])] == ["2.0"]


def test_the_working_directory_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), str(tmp_path / "sub" / ".."), "/elsewhere"])
    assert search_path() == ("/elsewhere",)


def test_metadata_in_the_working_directory_runs_no_code(run: Any, distribution: Make, tmp_path: Path) -> None:
    distribution(
        "evil", "1.0", {"hostler.workers": {"evil": "evil:worker"}}, tmp_path / "here", evil="print('ran')"
    )
    done = run("plugins")
    assert "evil" not in done.stdout
    done = run("-k", "evil", "a:b")
    assert done.returncode == 2
    assert "no worker class is named 'evil'" in done.stderr
    assert "ran" not in done.stdout


def test_a_namesake_in_the_working_directory_is_not_imported(
    run: Any, distribution: Make, tmp_path: Path
) -> None:
    distribution("acme-worker", "1.0", POINTS, acme_mod=WORKER)
    (tmp_path / "here" / "acme_mod.py").write_text("print('hijacked')\n" + WORKER)
    for arguments in (("-k", "mine"), ("--mine-pool", "7"), ("-k", "mine", "-c", "empty.py")):
        (tmp_path / "here" / "empty.py").touch()
        done = run("config", *arguments)
        assert done.returncode == 0, done.stderr
        assert "hijacked" not in done.stdout
    assert "hijacked" in run("config", "-k", "acme_mod:worker").stdout, "a path means what Python finds"


def test_a_strangers_worker(run: Any, distribution: Make) -> None:
    distribution("acme-worker", "1.0", POINTS, acme_mod=WORKER)
    done = run("config", "-k", "mine", "--mine-pool", "7", "--json")
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert table["mine_pool"] == {"value": 7, "origin": "command line: --mine-pool", "plugin": "mine"}
    assert table["worker_class"]["value"] == "mine"
    assert table["workers"]["origin"] == "default"
    done = run("--help")
    assert "Plugin mine" in done.stdout
    assert "--mine-pool" in done.stdout
    assert "100 % of it" in done.stdout


def test_the_listing(run: Any, distribution: Make) -> None:
    distribution("acme-worker", "1.0", POINTS, acme_mod=WORKER)
    distribution("acme-broken", "3.1", {"hostler.workers": {"broken": "acme_broken:w"}}, acme_broken="1 / 0")
    distribution(
        "acme-new",
        "4.0",
        {"hostler.protocols": {"newer": "acme_new:p"}},
        acme_new="from hostler.plugin import ProtocolType\np = ProtocolType('newer', 'm:o', api=(9, 0))",
    )
    distribution("acme-greedy", "5.0", {"hostler.workers": {"sync": "acme_mod:worker"}})
    done = run("plugins", "--json")
    rows = {(row["group"], row["name"], row["distribution"]): row for row in json.loads(done.stdout)}
    mine = rows["hostler.workers", "mine", "acme-worker"]
    assert (mine["state"], mine["api"], mine["version"]) == ("ok", "1.0", "1.0")
    assert rows["hostler.workers", "broken", "acme-broken"]["state"] == "broken"
    assert "ZeroDivisionError" in rows["hostler.workers", "broken", "acme-broken"]["reason"]
    assert rows["hostler.protocols", "newer", "acme-new"]["state"] == "incompatible"
    assert rows["hostler.workers", "sync", "acme-greedy"]["state"] == "ignored"
    assert rows["hostler.workers", "sync", "hostler"]["state"] == "ok"
    assert done.returncode == 1
    table = run("plugins", HOSTLER_DISABLE_PLUGINS="acme-broken,mine").stdout
    assert [line.split()[5] for line in table.splitlines() if " mine " in line] == ["disabled"]


def test_words_that_the_terminal_cannot_show(run: Any, distribution: Make) -> None:
    words = WORKER.replace("a worker of a test", "wörker…").replace("Size of", "Größe…")
    distribution("acme-worker", "1.0", POINTS, acme_mod=words)
    for arguments in (
        ("plugins",),
        ("--help",),
        ("config", "-n", "ö…"),
        ("--print-config", "-n", "ö…", "a:b"),
    ):
        done = run(*arguments, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert "UnicodeEncodeError" not in done.stderr
        assert done.stdout


def test_a_broken_plugin_does_not_disturb_others(run: Any, distribution: Make) -> None:
    distribution("acme-broken", "3.1", {"hostler.workers": {"broken": "acme_broken:w"}}, acme_broken="1 / 0")
    assert run("config").returncode == 0
    assert run("--help").returncode == 0
    done = run("-k", "broken", "a:b")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "hostler: error: worker class 'broken': importing 'acme_broken' from acme-broken 3.1 failed: "
        "ZeroDivisionError: division by zero"
    ]
    done = run("-k", "broken", "--log-level", "debug", "a:b")
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("hostler: error: ")


def test_only_what_is_chosen_is_imported(run: Any, distribution: Make) -> None:
    distribution("acme-worker", "1.0", POINTS, acme_mod="print('imported')\n" + WORKER)
    assert "imported" not in run("config", "--workers", "2").stdout
    assert "imported" not in run("--version").stdout
    assert "imported" in run("config", "-k", "mine").stdout
