"""Quick requests beside slow ones, and how evenly connections spread: several one-at-a-time workers.

    python benchmarks/neighbours.py [--peers PYTHON] [--seconds 30] [--rounds 3] [--write]

Four workers, 64 clients that keep their connections as long as the server lets them; 5 % of the requests take a
second, the others a millisecond. Shown are the times of the quick ones, ours and (with --peers, an interpreter
that has gunicorn) gunicorn's sync worker. Then 64 clients with quick requests only: the share of each worker.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

CLIENTS, WORKERS = 64, 4
APPLICATION = """
import os, time

PID = str(os.getpid()).encode()

def app(environ, start_response):
    time.sleep(1.0 if environ["PATH_INFO"] == "/slow" else 0.001)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(PID)))])
    return [PID]
"""
RESULTS = Path(__file__).parent / "results" / "neighbours.md"


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


class Client(threading.Thread):
    """One client: a request after the other until told to stop."""

    def __init__(self, port: int, slow: float, stop: threading.Event, seed: int) -> None:
        super().__init__(daemon=True)
        self.port, self.slow, self.stopped = port, slow, stop
        self.random = random.Random(seed)
        self.quick: list[float] = []
        self.pids: collections.Counter[bytes] = collections.Counter()
        self.errors = 0

    def run(self) -> None:
        """Keep the connection while the server keeps it."""
        peer = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.stopped.is_set():
            path = "/slow" if self.random.random() < self.slow else "/"
            began = time.monotonic()
            try:
                peer.request("GET", path)
                answer = peer.getresponse()
                self.pids[answer.read()] += 1
            except (OSError, http.client.HTTPException):
                self.errors += 1
                peer.close()
                continue
            if path == "/":
                self.quick.append(time.monotonic() - began)
        peer.close()


def load(port: int, slow: float, seconds: float, seed: int) -> list[Client]:
    """Run all clients for so long."""
    stop = threading.Event()
    clients = [Client(port, slow, stop, seed * 1000 + number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(seconds)
    stop.set()
    for client in clients:
        client.join(60)
    return clients


def serve(command: list[str], directory: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server and wait until it answers."""
    port = free_port()
    process = subprocess.Popen(
        [*command, "--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}", "application:app"],
        cwd=directory,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    time.sleep(1.0)
    return process, port


def percentile(values: list[float], share: float) -> float:
    """Milliseconds below which this share of the values lies."""
    return sorted(values)[int(len(values) * share)] * 1000


def main() -> None:
    """Measure in turn, print, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", help="an interpreter that has gunicorn")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    servers = {"hostler sync": [sys.executable, "-m", "hostler"]}
    if given.peers:
        servers["gunicorn sync"] = [given.peers, "-m", "gunicorn"]
    figures: dict[str, list[tuple[float, float, int]]] = {name: [] for name in servers}
    shares: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "application.py").write_text(APPLICATION)
        for number in range(given.rounds):
            for name, command in servers.items():
                process, port = serve(command, directory)
                try:
                    clients = load(port, 0.05, given.seconds, number)
                    quick = [value for client in clients for value in client.quick]
                    errors = sum(client.errors for client in clients)
                    figures[name].append((percentile(quick, 0.5), percentile(quick, 0.99), errors))
                    if name == "hostler sync":
                        counts = collections.Counter[bytes]()
                        for client in load(port, 0.0, 5, number):
                            counts.update(client.pids)
                        shares += [100 * count / sum(counts.values()) for count in counts.values()]
                finally:
                    process.terminate()
                    process.wait(60)
    lines = [
        "# Waiting behind a neighbour",
        "",
        f"{WORKERS} workers, {CLIENTS} clients, 5 % of the requests take 1 s, the others 1 ms; {given.rounds} rounds "
        f"of {given.seconds:g} s in turn, medians. Python {platform.python_version()}, {platform.machine()}, Linux "
        f"{platform.release()}.",
        "",
        "| server | quick requests, p50 | p99 | errors |",
        "|---|--:|--:|--:|",
    ]
    for name, rows in figures.items():
        p50, p99 = (statistics.median(row[place] for row in rows) for place in (0, 1))
        lines.append(f"| {name} | {p50:,.0f} ms | {p99:,.0f} ms | {sum(row[2] for row in rows)} |")
    lines += [
        "",
        f"With quick requests only, the shares of hostler's workers were {min(shares):.0f} % to {max(shares):.0f} %.",
        "",
    ]
    print("\n".join(lines))
    if given.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
