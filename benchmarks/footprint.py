"""Where the memory of a worker goes: what it does not share with its arbiter, from the fork to the thousandth request.

    python benchmarks/footprint.py [ROUNDS] > benchmarks/results/footprint.md

hostler and gunicorn read the same configuration, whose hooks look at `/proc/self/smaps_rollup`. `Private_Dirty` counts
pages that are the process's alone: new ones, and copies of its arbiter's, made when it first writes to them, which in
CPython includes the count of references of whatever it uses.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVERS = ("hostler", "gunicorn")
WORKERS = 4
REQUESTS = (1, 10, 1000)
STAGES = ("forked", "application loaded", *(f"request {number}" for number in REQUESTS))
HOOKS = f"""
import os

seen = []
requests = 0

def look(stage):
    descriptor = os.open("/proc/self/smaps_rollup", os.O_RDONLY)
    text = os.read(descriptor, 4096)
    os.close(descriptor)
    seen.append((stage, int(text.partition(b"Private_Dirty:")[2].split()[0])))

def post_fork(server, worker):
    look("forked")

def post_worker_init(worker):
    look("application loaded")

def pre_request(worker, request):
    global requests
    requests += 1
    if requests in {REQUESTS!r}:
        look(f"request {{requests}}")
        if requests == {REQUESTS[-1]}:
            with open(os.path.join(os.environ["FOOTPRINT"], str(os.getpid())), "w") as file:
                file.writelines(f"{{stage}}:{{kib}}\\n" for stage, kib in seen)

bind = "unix:" + os.path.join(os.environ["FOOTPRINT"], "socket")
workers = {WORKERS}
"""


def measure(server: str) -> list[dict[str, int]]:
    """KiB that are a worker's own at each stage, for every worker of one run."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "hooks.py").write_text(HOOKS)
        process = subprocess.Popen(
            [sys.executable, "-m", server, "-c", str(place / "hooks.py"), "-k", "sync", "apps:hello"],
            cwd=HERE,
            env={**os.environ, "FOOTPRINT": directory},
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 60
            while len(reports := reported(place)) < WORKERS:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{server} did not serve")
                ask(place / "socket")
        finally:
            process.terminate()
            process.wait(20)
    return reports


def reported(place: Path) -> list[dict[str, int]]:
    """What the workers that had their thousand requests have written."""
    reports = []
    for path in place.iterdir():
        if path.name.isdigit():
            lines = [line.rpartition(":") for line in path.read_text().splitlines()]
            if len(lines) == len(STAGES):
                reports.append({stage: int(kib) for stage, _, kib in lines})
    return reports


def ask(path: Path) -> None:
    """Some requests, each on a connection of its own, so that every worker gets its share."""
    for _ in range(50):
        with socket.socket(socket.AF_UNIX) as peer:
            try:
                peer.connect(str(path))
                peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                while peer.recv(65536):
                    continue
            except OSError:
                time.sleep(0.05)  # it is not there yet


def main() -> int:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    found: dict[str, list[dict[str, int]]] = {server: [] for server in SERVERS}
    for _ in range(rounds):
        for server in SERVERS:
            found[server] += measure(server)
    print("# footprint: KiB of a worker that it shares with nobody\n")
    print(f"| stage | {' | '.join(SERVERS)} | {' | '.join(f'{server}: added' for server in SERVERS)} |")
    print("| --- |" + " --: |" * len(SERVERS) * 2)
    before = dict.fromkeys(SERVERS, 0.0)
    for stage in STAGES:
        now = {server: statistics.median(report[stage] for report in found[server]) for server in SERVERS}
        cells = [f"{now[server]:,.0f}" for server in SERVERS]
        cells += [f"{now[server] - before[server]:,.0f}" for server in SERVERS]
        print(f"| {stage} | {' | '.join(cells)} |")
        before = now
    print(
        f"\nMedians of {rounds} rounds with {WORKERS} workers each; the application holds 1,024 KiB of its own."
    )
    versions = ", ".join(f"{one} {version(one)}" for one in SERVERS)
    print(f"CPython {sys.version.split()[0]}, {versions}, {time.strftime('%Y-%m-%d')}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
