"""What a crowd does to a healthy client, and what an idle connection costs, on each of our workers.

    python benchmarks/crowds.py [--env FOLDER] [--workers sync,gthread] [--seconds 2] [--rounds 3] [--write]

One worker process, pinned to CPU 0; the client and the crowd, each a process of its own, run on CPU 1. The healthy
client sends one small request after the other over one connection: first alone, then beside 1,000 connections that
say nothing and 200 readers of 1 MiB that take 4 KiB a second, then beside 10,000 connections that have been answered
once and are kept. Memory is what the worker's PSS grew by, divided by these 10,000; what the kernel holds for their
sockets is not in it. Both processes need 10,000 descriptors and more (`ulimit -n`).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from environment import conditions, interpreter, versions
from measure import parent, pss_mib
from servers import HOSTLER, Running, Server, server

WORKERS = ("sync", "gthread", "gevent", "eventlet")
SILENT, SLOW, IDLE = 1000, 200, 10_000
CLIENT_CPU = 1
MOST_RATIO, MOST_KIB = 2.0, 25.0
"""What is aimed at: the p99 in the crowd as a multiple of the p99 alone, and the memory of an idle connection."""
SETTLING = 1.0
"""Seconds after which a crowd has caused whatever its arrival causes."""
REQUEST = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENT = (
    *("--worker-connections", "20000", "--keep-alive", "3600", "--keepalive-requests", "0"),
    *("--first-byte-timeout", "3600", "--write-timeout", "3600", "--write-min-rate", "0"),
)
RESULTS = Path(__file__).parent / "results" / "crowds.md"


@dataclass(frozen=True)
class Times:
    """Milliseconds of a small request."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Round:
    """One round with one worker."""

    alone: Times
    crowded: Times
    beside_idle: Times
    kib: float


# -- the crowd, a process of its own ---------------------------------------------------------------------


def be_a_crowd(port: int, silent: int, slow: int, idle: int) -> None:
    """Connect, say `ready`, read a little from the slow ones until standard input ends."""
    kept = [connect(port) for _ in range(silent)]
    slow_readers = [connect(port, 4096) for _ in range(slow)]
    for sock in slow_readers:
        sock.sendall(REQUEST % b"/large")
        sock.recv(1)
        sock.setblocking(False)
    for _ in range(idle):
        kept.append(connect(port))
        ask(kept[-1])
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.5)[0]:
        for sock in slow_readers:
            with contextlib.suppress(BlockingIOError):
                sock.recv(2048)


@contextlib.contextmanager
def crowd(port: int, silent: int = 0, slow: int = 0, idle: int = 0) -> Iterator[None]:
    """A crowd that has arrived."""
    command = [sys.executable, __file__, "--crowd", f"{port},{silent},{slow},{idle}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise RuntimeError("the crowd did not arrive")
            time.sleep(SETTLING)
            yield
        finally:
            process.communicate()


# -- the healthy client ----------------------------------------------------------------------------------


def connect(port: int, buffer: int = 0) -> socket.socket:
    """A connection, with a receive buffer of its own size."""
    sock = socket.socket()
    sock.settimeout(60)
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.connect(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def ask(sock: socket.socket) -> None:
    """One small request and the whole of its answer, which has a body of 13 octets."""
    sock.sendall(REQUEST % b"/")
    text = b""
    while len(text.partition(b"\r\n\r\n")[2]) < 13:
        block = sock.recv(65536)
        if not block:
            raise ConnectionError(f"closed after {text!r}")
        text += block
    if not text.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(f"answered {text!r}")


def measured(port: int, seconds: float) -> Times:
    """The times of a small request for so long."""
    found: list[float] = []
    gc.disable()
    with connect(port) as sock:
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            ask(sock)
            found.append(time.perf_counter() - began)
    gc.enable()
    found.sort()
    return Times(*(found[int(len(found) * share)] * 1000 for share in (0.5, 0.99)))


# -- rounds and the table --------------------------------------------------------------------------------


def worker_memory(running: Running) -> float:
    """PSS of the worker in KiB."""
    return 1024 * sum(pss_mib(pid) for pid in running.pids() if parent(pid) == running.pid)


def round_of(subject: Server, python: Path, seconds: float) -> Round:
    """One worker, from its start to its end."""
    with Running(subject, python, "crowded") as running:
        measured(running.port, min(1.0, seconds))
        alone = measured(running.port, seconds)
        with crowd(running.port, silent=SILENT, slow=SLOW):
            crowded = measured(running.port, seconds)
    with Running(subject, python, "crowded") as running:
        measured(running.port, min(1.0, seconds))
        before = worker_memory(running)
        with crowd(running.port, idle=IDLE):
            beside_idle = measured(running.port, seconds)
            grown = worker_memory(running) - before
    return Round(alone, crowded, beside_idle, grown / IDLE)


def table(rounds: dict[str, list[Round]]) -> list[str]:
    """A row for each worker: medians of the rounds; the ratios are those within a round."""
    lines = [
        "| worker | p50 alone | p99 alone | p99 in the crowd | ratio | p99 among idle ones | ratio | KiB per idle |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    middle = statistics.median
    for name, found in rounds.items():
        cells = [
            name,
            f"{middle(each.alone.p50 for each in found):.3f} ms",
            f"{middle(each.alone.p99 for each in found):.3f} ms",
            f"{middle(each.crowded.p99 for each in found):.3f} ms",
            f"{middle(each.crowded.p99 / each.alone.p99 for each in found):.2f}",
            f"{middle(each.beside_idle.p99 for each in found):.3f} ms",
            f"{middle(each.beside_idle.p99 / each.alone.p99 for each in found):.2f}",
            f"{middle(each.kib for each in found):.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def verdict(rounds: dict[str, list[Round]]) -> str:
    """The aims, and who missed one."""
    missed = [
        f"{name} missed {aim}"
        for name, found in rounds.items()
        for aim, value, most in (
            ("the ratio", statistics.median(each.crowded.p99 / each.alone.p99 for each in found), MOST_RATIO),
            ("the memory", statistics.median(each.kib for each in found), MOST_KIB),
        )
        if value > most
    ]
    aims = (
        f"Aims: a ratio of at most {MOST_RATIO:g} in the crowd, at most {MOST_KIB:g} KiB per idle connection"
    )
    return f"{aims}: {'; '.join(missed) or 'reached by all'}."


def subjects(names: str, python: Path) -> dict[str, Server]:
    """The named workers that are installed."""
    installed = versions(python)[1]
    found = {}
    for name in names.split(","):
        package = "hostler" if name == "sync" else f"hostler-{name}"
        if package not in installed:
            print(f"{name}: {package} is not installed there; left out")
            continue
        threads = ("--threads", "4") if name == "gthread" else ()
        found[name] = server(f"hostler {name}", HOSTLER, "-k", name, *threads, *PATIENT, needs=package)
    return found


def main() -> None:
    """Measure in turn, print, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", type=Path, help="an environment made with run.py --prepare")
    parser.add_argument("--workers", default=",".join(WORKERS))
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--crowd", help=argparse.SUPPRESS)
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if given.crowd:
        be_a_crowd(*map(int, given.crowd.split(",")))
        return
    if hard != resource.RLIM_INFINITY and hard < IDLE + 200:
        parser.error(
            f"{hard} descriptors are allowed, {IDLE + 200} are needed: raise the hard limit (ulimit -Hn)"
        )
    python = interpreter(given.env)
    chosen = subjects(given.workers, python)
    os.sched_setaffinity(0, {CLIENT_CPU})
    rounds: dict[str, list[Round]] = {name: [] for name in chosen}
    for _ in range(given.rounds):
        for name, subject in chosen.items():
            rounds[name].append(round_of(subject, python, given.seconds))
    lines = [
        "# Crowds",
        "",
        *table(rounds),
        "",
        verdict(rounds),
        "",
        f"{SILENT:,} silent connections and {SLOW} slow readers; {IDLE:,} idle connections; ",
    ]
    lines[-1] += f"medians of {given.rounds} rounds of {given.seconds:g} s.\n"
    lines += [f"- {line}" for line in conditions(python)]
    print("\n".join(lines))
    if given.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
