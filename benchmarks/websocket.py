"""WebSockets beside other servers on the same machine in the same run: what a message and an idle connection cost.

    python benchmarks/websocket.py [echo] [idle] [--env FOLDER] [--rounds 5] [--seconds 3] [--write]

One worker with uvloop, pinned to CPU 0; the clients, a process of its own, run on CPU 1. `echo`: 64 connections, one
text of 64 octets under way on each; CPU µs of a message is the CPU time of all processes of the server by the messages
that came back. `idle`: 10,000 connections that have echoed once and are silent; memory is what the PSS of all processes
of the server grew by, divided by these 10,000 (what the kernel holds for their sockets is not in it). No client offers
compression. Both processes of `idle` need 10,000 descriptors and more (`ulimit -n`).
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import resource
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from environment import conditions, interpreter, versions
from measure import LOAD_CPU, cpu_seconds, pss_mib
from run import leave
from servers import SERVERS, Running, Server, ServerFailed
from table import row

OURS = "hostler asgi"
CONNECTIONS, IDLE, SIZE = 64, 10_000, 64
SETTLING = 2.0
"""Seconds after which the connections have caused whatever their arrival causes."""
AIMS = {
    "echo": {"uvicorn": 1.0, "gunicorn asgi": 1.0, "granian asgi": 1.0},
    "idle": {"uvicorn": 1.0},
}
# Room for ten thousand, and nothing that stirs while memory is read.
ROOM: dict[str, tuple[str, ...]] = {
    OURS: ("--worker-connections", "20000", "--websocket-ping-interval", "0"),
    "uvicorn": ("--ws-ping-interval", "3600"),
    "gunicorn asgi": ("--worker-connections", "20000"),
    "granian asgi": ("--backlog", "20000", "--backpressure", "20000"),
}
TITLES = {
    "echo": f"WebSocket, {CONNECTIONS} connections that echo a text of {SIZE} octets",
    "idle": f"WebSocket, {IDLE:,} idle connections",
}
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One round of one server: CPU µs of a message, or KiB of a connection; messages per second."""

    cost: float
    rate: float = 0.0


# -- the clients, a process of its own -------------------------------------------------------------------


def opened(port: int) -> socket.socket:
    """A WebSocket."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    fields = ("Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    head = "\r\n".join(("GET / HTTP/1.1", *fields, f"Sec-WebSocket-Key: {key}", "", ""))
    sock.sendall(head.encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        block = sock.recv(4096)
        if not block:
            raise ConnectionError(f"closed after {answer!r}")
        answer += block
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise ConnectionError(f"answered {answer!r}")
    return sock


def message() -> tuple[bytes, bytes]:
    """The frame of the client, and the server's with the same text."""
    text, mask = b"hello, world! " * 8, b"\x12\x34\x56\x78"
    text = text[:SIZE]
    masked = bytes(octet ^ mask[place & 3] for place, octet in enumerate(text))
    return struct.pack("!BB", 0x81, 0x80 | SIZE) + mask + masked, struct.pack("!BB", 0x81, SIZE) + text


def be_an_echo(port: int, seconds: float) -> None:
    """Keep one message under way on each connection; prints how many came back in how long."""
    sent, wanted = message()
    poll = select.epoll()
    socks = {sock.fileno(): sock for sock in (opened(port) for _ in range(CONNECTIONS))}
    partial = dict.fromkeys(socks, b"")
    for number in socks:
        poll.register(number, select.EPOLLIN)
    began = now = time.perf_counter()
    for sock in socks.values():
        sock.sendall(sent)
    count = 0
    while now - began < seconds:
        for number, _ in poll.poll(1.0):
            sock = socks[number]
            heard = sock.recv(4096)
            if heard != wanted:
                partial[number] += heard
                if not heard or not wanted.startswith(partial[number]):
                    raise ConnectionError(f"heard {partial[number]!r}")
                if partial[number] != wanted:
                    continue
                partial[number] = b""
            count += 1
            sock.send(sent)
        now = time.perf_counter()
    print(json.dumps([count, now - began]), flush=True)


def be_idle(port: int) -> None:
    """Open the connections, echo once on each, say `ready`, and keep them until standard input ends."""
    sent, wanted = message()
    kept = []
    for _ in range(IDLE):
        kept.append(opened(port))
        kept[-1].sendall(sent)
        if kept[-1].recv(len(wanted), socket.MSG_WAITALL) != wanted:
            raise ConnectionError("another text came back")
    print("ready", flush=True)
    sys.stdin.read()


# -- one measurement -------------------------------------------------------------------------------------


def clients(kind: str, port: int, seconds: float) -> list[str]:
    """The command that runs this file as the clients."""
    return ["taskset", "-c", LOAD_CPU, sys.executable, __file__, kind, "--clients", f"{port},{seconds}"]


def run_echo(port: int, seconds: float) -> tuple[int, float]:
    """Messages that came back, and the seconds it took."""
    done = subprocess.run(
        clients("echo", port, seconds), capture_output=True, text=True, check=False, timeout=60 + seconds
    )
    if done.returncode:
        raise ServerFailed(f"the echo failed: {done.stderr.strip()[-300:]}")
    count, took = json.loads(done.stdout)
    return int(count), float(took)


def echo(running: Running, seconds: float) -> Figure:
    """CPU time of a message, after a warm-up."""
    run_echo(running.port, min(1.0, seconds / 3))
    before = cpu_seconds(running.pids())
    count, took = run_echo(running.port, seconds)
    return Figure((cpu_seconds(running.pids()) - before) / count * 1e6, count / took)


def idle(running: Running, seconds: float) -> Figure:
    """Memory of a connection."""
    run_echo(running.port, min(1.0, seconds / 3))
    before = sum(map(pss_mib, running.pids()))
    with subprocess.Popen(
        clients("idle", running.port, 0),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise ServerFailed(f"{running.server.name}: {process.communicate()[1].decode()[-300:]}")
            time.sleep(SETTLING)
            return Figure((sum(map(pss_mib, running.pids())) - before) * 1024 / IDLE)
        finally:
            if process.returncode is None:
                process.communicate()


# -- rounds and the table --------------------------------------------------------------------------------


def subjects(kind: str, installed: dict[str, str]) -> tuple[dict[str, Server], list[str]]:
    """The servers that are installed, with the options they need, and a note for each other."""
    found, notes = {}, []
    for name, options in ROOM.items():
        plain = SERVERS[name]
        needs = (*plain.needs, "websockets") if name == "uvicorn" else plain.needs
        if lacking := [each for each in needs if each not in installed]:
            notes.append(f"{name} is left out: {', '.join(lacking)} not installed.")
            continue
        command = (*plain.command, *options) if kind == "idle" else plain.command
        found[name] = replace(plain, command=command, needs=needs)
    return found, notes


def measure(
    kind: str, chosen: dict[str, Server], python: Path, rounds: int, seconds: float
) -> tuple[dict[str, list[Figure]], list[str]]:
    """Figures of each server in turns, and what failed."""
    figures: dict[str, list[Figure]] = {name: [] for name in chosen}
    notes = []
    for number in range(rounds):
        for name, subject in chosen.items():
            print(f"{kind}, round {number + 1} of {rounds}: {name}", file=sys.stderr)
            try:
                with Running(subject, python, "asgi_echo") as running:
                    figures[name].append((echo if kind == "echo" else idle)(running, seconds))
            except (ServerFailed, OSError, subprocess.SubprocessError) as error:
                notes.append(f"round {number + 1}: {name}: {error}")
    return figures, notes


def table(kind: str, figures: dict[str, list[Figure]]) -> list[str]:
    """A row for each server: its cost, and how many times ours that is within a round."""
    unit = "CPU µs/message" if kind == "echo" else "KiB/connection"
    names = ["server", unit, f"ratio to {OURS}", "aim", *(["messages/s"] if kind == "echo" else [])]
    lines = [row(names), row(["---", *["--:"] * (len(names) - 1)])]
    for name, found in figures.items():
        if not found:
            continue
        costs = [each.cost for each in found]
        cells = [f"**{name}**" if name == OURS else name]
        cells.append(f"{statistics.median(costs):.1f} ({min(costs):.1f}-{max(costs):.1f})")
        cells += compared(kind, name, figures)
        if kind == "echo":
            cells.append(f"{statistics.median(each.rate for each in found):,.0f}")
        lines.append(row(cells))
    return lines


def compared(kind: str, name: str, figures: dict[str, list[Figure]]) -> tuple[str, str]:
    """The ratio to ours, and whether that is what was aimed at."""
    pairs = list(zip(figures[name], figures.get(OURS, ()), strict=False))
    if name == OURS or not pairs:
        return "", ""
    ratio = statistics.median(theirs.cost / own.cost for theirs, own in pairs)
    aim = AIMS[kind].get(name)
    verdict = "reached" if aim is not None and ratio >= aim else "**missed**"
    return f"{ratio:.2f}", f"≥ {aim:.2f}, {verdict}" if aim is not None else ""


def page(kind: str, python: Path, rounds: int, seconds: float) -> str:
    """Measure, and the whole page."""
    installed = versions(python)[1]
    chosen, notes = subjects(kind, installed)
    figures, failed = measure(kind, chosen, python, rounds, seconds)
    needed = sorted({each for subject in chosen.values() for each in subject.needs})
    how = f"Interleaved rounds: {rounds}" + (f", {seconds:g} s each" if kind == "echo" else "")
    lines = [f"# websocket-{kind}: {TITLES[kind]}", "", *table(kind, figures), ""]
    lines += [*(f"- {note}" for note in notes + failed), "", "## Conditions", ""]
    lines += [f"- {line}" for line in conditions(python)]
    lines.append(f"- {', '.join(f'{each} {installed[each]}' for each in needed)}.")
    lines.append(f"- {how}; median (least-most); one worker, pinned to CPU 0; clients on CPU 1.")
    commands = [f"{name}: {subject.line('asgi_echo', 1)}" for name, subject in chosen.items()]
    return "\n".join([*lines, "", "```", *commands, "```", ""])


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", nargs="*", help=f"of: {', '.join(TITLES)}; without one: both")
    parser.add_argument("--env", type=Path, help="an environment made with run.py --prepare")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--write", action="store_true", help="keep the tables in benchmarks/results/")
    parser.add_argument("--clients", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if unknown := set(given.kind) - set(TITLES):
        parser.error(f"{unknown.pop()!r} is unknown; known are: {', '.join(TITLES)}")
    return given


def main(argv: Sequence[str]) -> None:
    """Measure in turn, print, and write the tables."""
    given = arguments(argv)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if given.clients:
        port, seconds = given.clients.split(",")
        if given.kind == ["echo"]:
            be_an_echo(int(port), float(seconds))
        else:
            be_idle(int(port))
        return
    if given.kind != ["echo"] and hard != resource.RLIM_INFINITY and hard < IDLE + 200:
        raise SystemExit(f"{hard} descriptors are allowed, {IDLE + 200} are needed (ulimit -Hn)")
    signal.signal(signal.SIGTERM, leave)
    python = interpreter(given.env)
    for kind in given.kind or ("echo", "idle"):
        written = page(kind, python, given.rounds, given.seconds)
        print(written)
        if given.write:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"websocket-{kind}.md").write_text(written)


if __name__ == "__main__":
    main(sys.argv[1:])
