"""Each skeleton is a distribution that installs, is found, and passes the kit as written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostler_testkit.skeletons import KINDS, write_skeleton

SELECTED = {
    "worker": "test_keep_alive or test_input or test_term_finishes or test_requests_over_tls",
    "protocol": "test_protocol or test_through_a_server or test_it_is_installed",
    "service": "test_",
}


def install(project: Path, target: Path) -> None:
    """Build a wheel and unpack it: no index, no environment of its own."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = target.glob("*.whl")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(target)], check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_skeleton(kind: str, tmp_path: Path) -> None:
    """Written, built, installed, tested."""
    written = write_skeleton(kind, "of-mine", tmp_path)
    project = tmp_path / "hostler-of-mine"
    assert all(path.is_relative_to(project) for path in written)
    site = tmp_path / "site"
    install(project, site)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", "-k", SELECTED[kind]]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def through_the_server(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`server plugins new` with these words."""
    command = [sys.executable, "-m", "hostler", "plugins", "new", *words]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_writes_the_same(kind: str, tmp_path: Path) -> None:
    """`server plugins new KIND NAME` into the directory where one stands."""
    (tmp_path / "here").mkdir()
    done = through_the_server(tmp_path / "here", kind, "of-mine")
    assert done.returncode == 0, done.stderr
    for path in write_skeleton(kind, "of-mine", tmp_path):
        relative = path.relative_to(tmp_path)
        assert (tmp_path / "here" / relative).read_text() == path.read_text()
        assert str(relative) in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("logger", "x"), "no skeleton for 'logger': worker, protocol, service"),
        (("worker", "Upper"), "'Upper' is no plugin name"),
        (("worker", "there"), "hostler-there exists already"),
        (("worker", "x", "a-file"), "a-file"),
    ],
)
def test_the_server_says_in_one_line_what_is_wrong(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    """Nothing is written, and no traceback shown."""
    (tmp_path / "a-file").touch()
    (tmp_path / "hostler-there").mkdir()
    done = through_the_server(tmp_path, *words)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert told in line
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a-file", "hostler-there"]


@pytest.mark.parametrize("name", ["Upper", "with space", "-a", "a-", "a--b", "../x", ""])
def test_bad_names(name: str, tmp_path: Path) -> None:
    """A name that cannot be an import name."""
    with pytest.raises(ValueError, match="no plugin name"):
        write_skeleton("worker", name, tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder that is there stays as it is."""
    write_skeleton("service", "twice", tmp_path)
    with pytest.raises(FileExistsError):
        write_skeleton("service", "twice", tmp_path)
