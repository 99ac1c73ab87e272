"""The pid file: whole, ours, and nobody else's."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from hostler._pidfile import PidFile
from hostler.errors import ConfigError


def test_written_and_removed(tmp_path: Path) -> None:
    """With the pid, readable by all; no temporary file left."""
    path = tmp_path / "pid"
    made = PidFile.create(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["pid"]
    made.remove()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", ["", "1\n", f"{os.getpid()}\n", "not a number"])
def test_stale_file_is_replaced(tmp_path: Path, content: str) -> None:
    """The number means nothing: it may be a stranger's by now."""
    path = tmp_path / "pid"
    path.write_text(content)
    PidFile.create(str(path)).remove()
    assert not path.exists()


def test_live_server_keeps_its_file(tmp_path: Path) -> None:
    """A lock is held by who lives."""
    path = tmp_path / "pid"
    path.write_text("77\n")
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match=r"belongs to a server that runs \(pid 77\)"):
            PidFile.create(str(path))
    assert path.read_text() == "77\n"
    assert os.listdir(tmp_path) == ["pid"]


def test_two_of_one_process(tmp_path: Path) -> None:
    """The second is refused as a stranger's would be."""
    made = PidFile.create(str(tmp_path / "pid"))
    with pytest.raises(ConfigError, match="belongs to a server"):
        PidFile.create(str(tmp_path / "pid"))
    made.remove()


def test_renamed(tmp_path: Path) -> None:
    """As at the end of an upgrade."""
    made = PidFile.create(str(tmp_path / "pid.2"))
    made.rename(str(tmp_path / "pid"))
    assert os.listdir(tmp_path) == ["pid"]
    made.remove()
    assert os.listdir(tmp_path) == []


def test_stranger_s_file_is_left(tmp_path: Path) -> None:
    """Somebody put another in its place."""
    path = tmp_path / "pid"
    made = PidFile.create(str(path))
    path.unlink()
    path.write_text("other")
    made.remove()
    assert path.read_text() == "other"


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    """One clear error."""
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        PidFile.create(str(tmp_path / "none" / "pid"))


def test_second_server_is_refused(server: Any, wait_until: Any) -> None:
    """The first serves on with its files."""
    server.start()
    log = server.log()
    server.write("other.py", f"bind = 'unix:{server.directory}/other'\npidfile = '{server.directory}/pid'\n")
    first = server.process
    server.execute(["-m", "hostler", "-c", str(server.directory / "other.py"), "app:application"])
    second, server.process = server.process, first
    assert second.wait(30) == 1
    assert "belongs to a server that runs" in server.log()[len(log) :]
    assert server.get()
    assert int((server.directory / "pid").read_text()) == server.pid
