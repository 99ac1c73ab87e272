"""Calls into the dirty pool, beside gunicorn's dirty arbiter on the same machine in the same run.

    python benchmarks/dirty.py --env .bench [--seconds 1.0] [--rounds 3] [--write]

`--env` is the environment that `run.py --prepare` makes. Every echo is made by one blocking caller in a WSGI worker of
each server, median of the calls of that time; the asyncio row by one task in an ASGI worker; the throughput row by 16
threads of one WSGI worker, with two dirty workers. The servers take turns, round by round; a figure is the median of
the rounds. `--write` keeps the table in `benchmarks/results/dirty.md`. Compare the columns, not the figures with those
of another machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import environment

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
    if kind == "floats" and ARRAYS:
        import numpy
        return numpy.random.rand(32, 384).astype("f4")
    if kind == "floats":
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

async def awaited(kind, seconds):
    client, value, times = get_dirty_client(), value_of(kind), []
    for _ in range(3):
        await client.execute_async(PATH, "echo", value)
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        begun = time.perf_counter()
        await client.execute_async(PATH, "echo", value)
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e6

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    query = {{k: v[0] for k, v in parse_qs(scope["query_string"].decode()).items()}}
    said = await awaited(query["kind"], float(query["seconds"])) if scope["path"] == "/median" else "up"
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}})
    await send({{"type": "http.response.body", "body": json.dumps(said).encode()}})

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
OURS = "from hostler_dirty import DirtyApp, get_dirty_client\nARRAYS = True"
THEIRS = (
    "from gunicorn.dirty import get_dirty_client\nfrom gunicorn.dirty.app import DirtyApp\nARRAYS = False"
)


@dataclass(frozen=True)
class Row:
    """A line of the table. `least`: the figure is a rate, and `aim` the least ratio; otherwise the greatest."""

    name: str
    unit: str
    aim: float
    ask: str
    least: bool = False


ECHOES = [
    Row("echo of 100 B", "µs", 0.4, "/median?kind=100"),
    Row("echo of 10 KiB", "µs", 0.4, "/median?kind=10240"),
    Row("echo of 1 MiB", "µs", 0.07, "/median?kind=1048576"),
    Row("echo of 10 MiB", "µs", 0.06, "/median?kind=10485760"),
    Row("echo of 32 x 384 floats (ours: an array, theirs: lists)", "µs", 0.02, "/median?kind=floats"),
]
CROWD = Row("16 callers, 2 workers", "calls/s", 3.0, "/together", least=True)
NAPS = Row("4 calls of 0.5 s, 4 threads", "s", 0.0, "/naps")
LONGEST_NAPS, MOST_IDLE, MOST_ASYNC = 0.6, 0.2, 1.3
IDLE_SECONDS = 10.0


class Site:
    """A server with the application above, in a directory of its own."""

    def __init__(
        self,
        command: list[str],
        imports: str,
        dirty_workers: int,
        dirty_threads: int,
        more: tuple[str, ...] = ("bench_app:app",),
    ) -> None:
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
                "--dirty-workers", str(dirty_workers), "--dirty-threads", str(dirty_threads), *more,
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

    def idle(self, seconds: float) -> float:
        """Percent of a CPU that the pool's processes use while nobody calls."""
        workers = [pid for pid in descendants(self._process.pid) if "hostler_dirty._worker" in told(pid)]
        pids = {*workers, *map(parent, workers)}
        before = sum(map(cpu, pids))
        time.sleep(seconds)
        return (sum(map(cpu, pids)) - before) / seconds * 100

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._log.close()
        self._directory.cleanup()


def descendants(pid: int) -> list[int]:
    """Every process below one."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


def told(pid: int) -> str:
    """Its command line."""
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")


def parent(pid: int) -> int:
    """The process that started it."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def cpu(pid: int) -> float:
    """Seconds that the process has run, exact to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def measure(command: list[str], imports: str, seconds: float) -> dict[str, object]:
    """Every row that both servers have, of one of them."""
    found: dict[str, object] = {}
    site = Site(command, imports, 1, 1)
    for row in ECHOES:
        found[row.name] = site.ask(f"{row.ask}&seconds={seconds}")
    site.close()
    site = Site(command, imports, 2, 1)
    found[CROWD.name] = site.ask(f"{CROWD.ask}?seconds={2 * seconds}")
    site.close()
    site = Site(command, imports, 1, 4)
    found[NAPS.name] = site.ask(NAPS.ask)
    site.close()
    return found


def own(command: list[str], seconds: float) -> dict[str, object]:
    """The rows that only ours has an aim for."""
    site = Site(command, OURS, 1, 1, ("--worker-class", "asgi", "bench_app:asgi"))
    found: dict[str, object] = {"async": site.ask(f"/median?kind=100&seconds={seconds}")}
    site.close()
    site = Site(command, OURS, 2, 1)
    site.ask("/median?kind=100&seconds=0.2")
    found["idle"] = site.idle(IDLE_SECONDS)
    site.close()
    return found


def middle(rounds: list[dict[str, object]], name: str) -> float:
    """The median of the rounds. Raises SystemExit when one of them failed."""
    values = [each.get(name) for each in rounds]
    numbers = [value for value in values if isinstance(value, (int, float))]
    if len(numbers) < len(values) or not numbers:
        raise SystemExit(f"{name}: {values}")
    return statistics.median(numbers)


def figure(value: float) -> str:
    """As many digits as mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(ours: list[dict[str, object]], theirs: list[dict[str, object]]) -> list[str]:
    """Markdown."""
    lines = ["| | hostler | gunicorn | ratio | aim |", "| --- | --: | --: | --: | --: |"]

    def line(
        name: str, value: float, unit: str, other: float | None, ratio: float | None, aim: str, good: bool
    ) -> None:
        beside = "" if other is None else f"{figure(other)} {unit}"
        times = "" if ratio is None else f"{ratio:.3f}"
        verdict = "reached" if good else "**missed**"
        lines.append(f"| {name} | {figure(value)} {unit} | {beside} | {times} | {aim}, {verdict} |")

    for row in [*ECHOES, CROWD]:
        mine, other = middle(ours, row.name), middle(theirs, row.name)
        ratio = statistics.median(
            float(a[row.name]) / float(b[row.name])  # type: ignore[arg-type]
            for a, b in zip(ours, theirs, strict=True)
        )
        good = ratio >= row.aim if row.least else ratio <= row.aim
        line(row.name, mine, row.unit, other, ratio, f"{'≥' if row.least else '≤'} {row.aim:g}", good)
    naps, awaited, idle = middle(ours, NAPS.name), middle(ours, "async"), middle(ours, "idle")
    line(NAPS.name, naps, "s", middle(theirs, NAPS.name), None, f"≤ {LONGEST_NAPS:g} s", naps <= LONGEST_NAPS)
    ratio = statistics.median(
        float(each["async"]) / float(each[ECHOES[0].name])  # type: ignore[arg-type]
        for each in ours
    )
    aim = f"≤ {MOST_ASYNC:g} of the blocking caller's ({ratio:.2f})"
    line("echo of 100 B from an ASGI worker", awaited, "µs", None, None, aim, ratio <= MOST_ASYNC)
    aim = f"≤ {MOST_IDLE:g} %"
    line("CPU of an idle pool: arbiter and 2 workers", idle, "%", None, None, aim, idle <= MOST_IDLE)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--env", type=Path, help="an environment that has both servers, made by run.py --prepare"
    )
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the table in results/dirty.md")
    options = parser.parse_args()
    python = environment.interpreter(options.env)
    ours: list[dict[str, object]] = []
    theirs: list[dict[str, object]] = []
    command = [str(python), "-m", "hostler"]
    for _ in range(options.rounds):
        ours.append(measure(command, OURS, options.seconds) | own(command, options.seconds))
        theirs.append(measure([str(python), "-m", "gunicorn"], THEIRS, options.seconds))
    _, versions = environment.versions(python)
    page = [
        "# dirty: calls into the dirty pool",
        "",
        *table(ours, theirs),
        "",
        "A ratio is ours divided by gunicorn's, median of the ratios within a round.",
        "",
        "## Conditions",
        "",
        *(f"- {line}" for line in environment.conditions(python)),
        f"- gunicorn {versions.get('gunicorn', '?')}, hostler-dirty {versions.get('hostler-dirty', '?')}.",
        f"- Interleaved rounds: {options.rounds}, {options.seconds:g} s each.",
    ]
    text = "\n".join(page) + "\n"
    print(text)
    if options.write:
        (Path(__file__).parent / "results" / "dirty.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
