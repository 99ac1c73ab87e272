"""Calls into the dirty pool, beside gunicorn's dirty arbiter on the same machine in the same run.

    python benchmarks/dirty.py [--seconds 1.0] [--gunicorn PYTHON]

`--gunicorn` names an interpreter that has gunicorn 27 (with numpy if the array row is wanted). Every figure is
an echo by one blocking caller, median of the calls of that time, from inside a WSGI worker of each server. The
throughput rows are of 16 threads in that worker and two dirty workers. Nothing is printed that was not measured
here; compare the two columns, not the figures with those of another machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

APP = """
import json, statistics, threading, time
from urllib.parse import parse_qs
{imports}
PATH = "bench_app:Echo"

class Echo(DirtyApp):
    def init(self):
        pass
    def close(self):
        pass
    def echo(self, value):
        return value
    def nap(self, seconds):
        time.sleep(seconds)

def value_of(kind):
    if kind == "array":
        import numpy
        return numpy.random.rand(32, 384).astype("f4")
    if kind == "lists":
        return [[i * 0.5 + j for j in range(384)] for i in range(32)]
    return b"x" * int(kind)

def median(kind, seconds):
    client, value, times = get_dirty_client(), value_of(kind), []
    for _ in range(3):
        client.execute(PATH, "echo", value)
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        begun = time.perf_counter()
        client.execute(PATH, "echo", value)
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e6

def together(count, seconds):
    done, stop = [], time.perf_counter() + seconds
    def run():
        client, n = get_dirty_client(), 0
        while time.perf_counter() < stop:
            client.execute(PATH, "echo", b"x" * 100)
            n += 1
        done.append(n)
    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return sum(done) / seconds

def naps(count):
    def run():
        get_dirty_client().execute(PATH, "nap", 0.5)
    threads = [threading.Thread(target=run) for _ in range(count)]
    begun = time.perf_counter()
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return time.perf_counter() - begun

def app(environ, start_response):
    query = {{k: v[0] for k, v in parse_qs(environ["QUERY_STRING"]).items()}}
    path = environ["PATH_INFO"]
    try:
        if path == "/median":
            said = median(query["kind"], float(query["seconds"]))
        elif path == "/together":
            said = together(16, float(query["seconds"]))
        elif path == "/naps":
            said = naps(4)
        else:
            said = "up"
    except Exception as error:
        said = repr(error)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]
"""
OURS = "from hostler_dirty import DirtyApp, get_dirty_client"
THEIRS = "from gunicorn.dirty import get_dirty_client\nfrom gunicorn.dirty.app import DirtyApp"
ROWS = [
    ("100", "100 B"),
    ("10240", "10 KiB"),
    ("1048576", "1 MiB"),
    ("10485760", "10 MiB"),
    ("lists", "32x384 lists"),
]


class Site:
    """A server with the application above, in a directory of its own."""

    def __init__(self, command: list[str], imports: str, dirty_workers: int, dirty_threads: int) -> None:
        self._directory = tempfile.TemporaryDirectory()
        home = Path(self._directory.name)
        (home / "bench_app.py").write_text(APP.format(imports=imports), encoding="utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._log = (home / "log").open("wb")
        self._process = subprocess.Popen(
            [
                *command, "-b", f"127.0.0.1:{self.port}", "--timeout", "300", "--dirty-app", "bench_app:Echo",
                "--dirty-workers", str(dirty_workers), "--dirty-threads", str(dirty_threads), "bench_app:app",
            ],
            cwd=home, stdout=self._log, stderr=self._log, start_new_session=True,
        )  # fmt: skip
        until = time.monotonic() + 60
        while self.ask("/") != "up":
            if time.monotonic() > until or self._process.poll() is not None:
                raise SystemExit((home / "log").read_text(encoding="utf-8"))
            time.sleep(0.1)
        time.sleep(1.0)

    def ask(self, path: str) -> object:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=120) as answer:
                return json.loads(answer.read())
        except OSError:
            return None

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._log.close()
        self._directory.cleanup()


def measure(
    command: list[str], imports: str, seconds: float, rows: list[tuple[str, str]]
) -> dict[str, object]:
    """Every row of one server."""
    found: dict[str, object] = {}
    site = Site(command, imports, 1, 1)
    for kind, name in rows:
        found[name] = site.ask(f"/median?kind={kind}&seconds={seconds}")
    site.close()
    site = Site(command, imports, 2, 1)
    found["16 callers, calls/s"] = site.ask(f"/together?seconds={2 * seconds}")
    site.close()
    site = Site(command, imports, 1, 4)
    found["4 x 0.5 s, 4 threads, s"] = site.ask("/naps")
    site.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--gunicorn", metavar="PYTHON", help="an interpreter that has gunicorn")
    parser.add_argument("--array", action="store_true", help="the row of a numpy array too (ours only)")
    options = parser.parse_args()
    rows = [*ROWS, ("array", "32x384 array")] if options.array else ROWS
    ours = measure([sys.executable, "-m", "hostler"], OURS, options.seconds, rows)
    theirs: dict[str, object] = {}
    if options.gunicorn:
        theirs = measure([options.gunicorn, "-m", "gunicorn"], THEIRS, options.seconds, ROWS)
    print(f"{'echo, median in us':28}{'hostler':>12}{'gunicorn':>12}{'ratio':>9}")
    for name, value in ours.items():
        other = theirs.get(name)
        ratio = (
            f"{value / other:9.3f}" if isinstance(value, float) and isinstance(other, float) and other else ""
        )
        cells = "".join(
            f"{cell:12.2f}" if isinstance(cell, float) else f"{cell or '-'!s:>12}" for cell in (value, other)
        )
        print(f"{name:28}{cells}{ratio}")


if __name__ == "__main__":
    main()
