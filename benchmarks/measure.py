"""One measurement: a fresh server, wrk on another CPU, and what the processes of the server cost.

It knows /proc and wrk; it does not know which servers there are or what is made of the figures.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scenarios import CONNECTIONS, Scenario
from servers import Running, ServerFailed

LOAD_CPU = "1"
TICKS = os.sysconf("SC_CLK_TCK")
LEAST_SECONDS = 0.3

DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('JSON{"requests":%d,"us":%d,"errors":%d}\\n', summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout + e.status))
end
"""


@dataclass(frozen=True)
class Sample:
    """One round of one server: CPU µs per request, requests per second and errors;
    for memory the MiB of one worker and of all processes."""

    cost: float
    rate: float
    errors: int


@dataclass(frozen=True)
class Load:
    """What wrk counted."""

    requests: int
    seconds: float
    errors: int


def sample(scenario: Scenario, server: Running, seconds: float) -> Sample:
    """Check one answer, warm the server up, then measure. Raises `ServerFailed` when an answer is wrong."""
    check(scenario, server)
    run_wrk(scenario, server.asked, max(LEAST_SECONDS, min(1.0, seconds / 3)))
    if scenario.memory:
        return memory(scenario, server)
    before = cpu_seconds(server.pids())
    load = run_wrk(scenario, server.asked, seconds)
    spent = cpu_seconds(server.pids()) - before
    if not load.requests:
        raise ServerFailed(f"{server.server.name} answered no request under load: {server.tail()}")
    return Sample(spent / load.requests * 1e6, load.requests / load.seconds, load.errors)


def check(scenario: Scenario, server: Running) -> None:
    """One request outside the measurement, whose answer must be right."""
    body = b"j" * scenario.sent if scenario.sent else None
    status, answer = server.request("POST" if body else "GET", "/", body)
    if status != 200 or len(answer) != scenario.size:
        raise ServerFailed(f"{server.server.name} answered {status} with {len(answer)} octets")


def run_wrk(scenario: Scenario, port: int, seconds: float) -> Load:
    """Load a server from one thread for some seconds. Raises `ServerFailed` when wrk could not do it."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(scenario.lua + DONE)
        script.flush()
        command = ["taskset", "-c", LOAD_CPU, "wrk", "--threads", "1", "--connections", str(CONNECTIONS)]
        command += ["--duration", f"{math.ceil(seconds)}s", "--timeout", "5s", "--script", script.name]
        command.append(f"http://127.0.0.1:{port}/")
        output = finish(command, seconds)
    found = re.search(r"JSON(\{.*\})", output)
    if found is None:
        raise ServerFailed(f"wrk printed no figures: {output.strip()[-300:]}")
    counted = json.loads(found[1])
    return Load(counted["requests"], counted["us"] / 1e6, counted["errors"])


def finish(command: list[str], seconds: float) -> str:
    """Output of wrk, which takes whole seconds: a time that is no whole number is cut by an interrupt."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        if seconds != int(seconds):
            try:
                return process.communicate(timeout=seconds)[0]
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
        return process.communicate(timeout=seconds + 30)[0]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of processes and of the children they have waited for."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # its time is its parent's once that has waited for it
        ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def memory(scenario: Scenario, server: Running) -> Sample:
    """PSS of a worker, the median of them, and of all processes. Raises `ServerFailed` when workers lack."""
    found = {pid: pss_mib(pid) for pid in server.pids()}
    workers = [pss for pid, pss in found.items() if parent(pid) == server.pid]
    if len(workers) != scenario.workers:
        raise ServerFailed(f"{server.server.name} has {len(workers)} workers: {server.tail()}")
    return Sample(statistics.median(workers), sum(found.values()), 0)


def parent(pid: int) -> int:
    """The process that a process is a child of."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def pss_mib(pid: int) -> float:
    """Memory of a process with its share of what it shares, in MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"the kernel tells no Pss of {pid}")
