"""Django with a real database, Flask and Falcon on each worker under the load of wrk: not one error.

And what greenlets are for: a request that waits for a database or for another server holds up no other one.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hostler_testkit import until

pytestmark = pytest.mark.load

SITES = Path(__file__).parent / "sites"
LOCK = 4711
OTHERS = """
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
THREADS = {"gthread": {"threads": 4}}
CLIENTS = 500


def served(server: Any, hostler_worker: str, application: str, **settings: Any) -> Any:
    """One worker that has booted with an application of `sites`."""
    settings = {"chdir": str(SITES), "pythonpath": str(SITES), **THREADS.get(hostler_worker, {}), **settings}
    running = server(application, wait=False, **settings)
    until(lambda: "ready: " in running.log() or running.process.poll() is not None, "a ready worker")
    assert running.process.poll() is None, running.log()
    return running


def without_errors(running: Any, load: Any) -> None:
    """All answered, and nothing logged."""
    assert load.requests > 0
    assert (load.errors, load.refused) == (0, 0), running.log()
    assert "Traceback" not in running.log()
    assert "[ERROR]" not in running.log()


@pytest.mark.needs("wrk")
@pytest.mark.parametrize("hostler_worker", ["sync", "gthread", "gevent", "eventlet"], indirect=True)
@pytest.mark.parametrize("application", ["flasksite:app", "falconsite:app"])
def test_framework(server: Any, hostler_worker: str, application: str, wrk: Callable[..., Any]) -> None:
    """A page of a known length, and a stream."""
    running = served(server, hostler_worker, application)
    for path in ("/", "/stream"):
        without_errors(running, wrk(running, path, seconds=2))
    assert running.stop() == 0


# -- Django and PostgreSQL -------------------------------------------------------------------------------


@pytest.fixture
def database(postgres: Any, tmp_path: Path) -> Any:
    """The environment of the project with a fresh table."""
    environment = {
        "PGHOST": str(postgres.directory),
        "PGDATABASE": "postgres",
        "DJANGO_SETTINGS_MODULE": "dbsite.settings",
    }
    command = [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity=0"]
    done = subprocess.run(
        command, cwd=SITES, env={**os.environ, **environment, "PYTHONPATH": str(SITES)}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return environment


def connected(environment: dict[str, str]) -> Any:
    """A connection of the test's own."""
    return psycopg.connect(
        host=environment["PGHOST"], dbname=environment["PGDATABASE"], user="postgres", autocommit=True
    )


def count(connection: Any, query: str) -> int:
    """The number that a query gives."""
    return int(connection.execute(query).fetchone()[0])


@pytest.mark.needs("wrk", "postgres")
@pytest.mark.parametrize("hostler_worker", ["sync", "gthread", "gevent"], indirect=True)
def test_django_with_a_database(
    server: Any, hostler_worker: str, database: dict[str, str], wrk: Callable[..., Any]
) -> None:
    """Each answer is a row that was written; what wrk left unread at its end may be a row too."""
    running = served(server, hostler_worker, "dbsite.wsgi:application", environment=database)
    without_errors(running, wrk(running, "/plain", seconds=2))
    with connected(database) as connection:
        before = count(connection, "SELECT count(*) FROM visits_visit")
        load = wrk(running, "/visit", seconds=3)
        until(lambda: count(connection, OTHERS) == 0, "the end of the connections that the requests had")
        assert running.stop() == 0
        without_errors(running, load)
        written = count(connection, "SELECT count(*) FROM visits_visit") - before
        assert load.requests <= written <= load.requests + 16


@pytest.mark.needs("wrk")
@pytest.mark.parametrize("hostler_worker", ["eventlet"], indirect=True)
def test_django_without_a_database(server: Any, hostler_worker: str, wrk: Callable[..., Any]) -> None:
    """psycopg 3 does not wait cooperatively under eventlet, so here Django is all."""
    environment = {"PGHOST": "/nonexistent", "PGDATABASE": "none"}
    running = served(server, hostler_worker, "dbsite.wsgi:application", environment=environment)
    without_errors(running, wrk(running, "/plain", seconds=3))
    assert running.stop() == 0


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("hostler_worker", ["gevent", "gthread"], indirect=True)
def test_a_wait_in_the_database_holds_up_nobody(
    server: Any, hostler_worker: str, database: dict[str, str]
) -> None:
    """While a request waits for a lock in PostgreSQL, the only worker answers others."""
    running = served(server, hostler_worker, "dbsite.wsgi:application", environment=database)
    waiting = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND NOT granted"
    with connected(database) as connection, ThreadPoolExecutor(3) as pool:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            held = [pool.submit(running.request, "GET", "/wait") for _ in range(3)]
            until(lambda: count(connection, waiting) == 3, "three requests that wait")
            answers = [running.request("GET", "/visit") for _ in range(20)]
            assert not any(future.done() for future in held)
        finally:
            connection.execute("SELECT pg_advisory_unlock_all()")
        answers += [future.result(60) for future in held]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1


# -- a slow upstream -------------------------------------------------------------------------------------


async def exchange(port: int, target: str) -> str:
    """One request over a connection of its own; status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        text = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = text.decode().partition("\r\n\r\n")
    return f"{head.split(' ')[1]} {body}"


async def through_a_slow_upstream(port: int) -> Counter[str]:
    """All clients at once, and an upstream that answers no one until all of them have come through to it."""
    arrived, all_here = 0, asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        arrived += 1
        if arrived == CLIENTS:
            all_here.set()
        await all_here.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))
        await writer.drain()
        await reader.read()
        writer.close()

    upstream = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=CLIENTS)
    neighbour = upstream.sockets[0].getsockname()[1]
    jobs = [exchange(port, f"/{number}?{neighbour}") for number in range(CLIENTS)]
    try:
        answers = await asyncio.wait_for(asyncio.gather(*jobs), 90)
    finally:
        upstream.close()
    return Counter(answers)


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("hostler_worker", ["gevent", "eventlet"], indirect=True)
def test_slow_upstream(server: Any, hostler_worker: str) -> None:
    """One worker has 500 requests in hand, each of which waits for the same slow neighbour."""
    running = served(server, hostler_worker, "upstreamsite:app", timeout=120)
    answers = asyncio.run(through_a_slow_upstream(running.address[1]))
    assert answers == Counter(f"200 /{number}" for number in range(CLIENTS))
    assert "Traceback" not in running.log()
    assert running.stop() == 0
