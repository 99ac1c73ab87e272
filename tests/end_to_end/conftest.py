"""What several of these tests use: the load of wrk, a database cluster of their own, room for many sockets."""

from __future__ import annotations

import os
import pwd
import re
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hostler_testkit import Server, until


@dataclass(frozen=True)
class Load:
    """What wrk counted: answers, socket errors, answers that are neither 2xx nor 3xx."""

    requests: int
    errors: int
    refused: int


@pytest.fixture(scope="session")
def wrk() -> Callable[..., Load]:
    """Drive a server: `wrk(running, path, seconds=3, connections=16, during=callable)`."""

    def drive(
        running: Server,
        path: str = "/",
        *,
        seconds: int = 3,
        connections: int = 16,
        during: Callable[[], None] | None = None,
    ) -> Load:
        tool = shutil.which("wrk")
        assert tool, "wrk is needed: apt-get install wrk"
        host, port = running.address
        command = [tool, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
        with subprocess.Popen(
            [*command, f"http://{host}:{port}{path}"], stdout=subprocess.PIPE, text=True
        ) as process:
            while during is not None and process.poll() is None:
                during()
            told = process.communicate()[0]
        requests = re.search(r"(\d+) requests in", told)
        assert requests is not None, told
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", told)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
        return Load(
            int(requests[1]),
            sum(map(int, errors.groups())) if errors else 0,
            int(refused[1]) if refused else 0,
        )

    return drive


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for 8,192 descriptors, here and in the servers that the test starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Cluster:
    """A PostgreSQL server of its own that listens at a Unix socket in its directory, and nowhere else."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._programs = sorted(
            Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[-2])
        )[-1]
        self._options: dict[str, Any] = {"cwd": directory}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            owner = self._owner()
            os.chown(directory, owner.pw_uid, owner.pw_gid)
            self._options.update(user=owner.pw_uid, group=owner.pw_gid, extra_groups=[])
        words = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self._run("initdb", "-D", str(directory / "data"), *words)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(directory),
            "max_connections": "100",
            "fsync": "off",
        }
        command = [str(self._programs / "postgres"), "-D", str(directory / "data")]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (directory / "postgres.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._options)

    @staticmethod
    def _owner() -> pwd.struct_passwd:
        names = {each.pw_name: each for each in pwd.getpwall()}
        return names.get("postgres") or names["nobody"]

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._options)
        assert done.returncode == 0, done.stderr

    def log(self) -> str:
        """What it wrote."""
        return (self.directory / "postgres.log").read_text(errors="replace")

    def ready(self) -> bool:
        """Whether it takes connections."""
        assert self._process.poll() is None, self.log()
        command = [str(self._programs / "pg_isready"), "-q", "-h", str(self.directory)]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self) -> None:
        """End it without waiting for its clients."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A fresh cluster; user `postgres`, database `postgres`, no password."""
    directory = Path(tempfile.mkdtemp(prefix="hostler-pg-"))
    cluster = Cluster(directory)
    try:
        until(cluster.ready, "the database")
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)
