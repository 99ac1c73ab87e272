"""A real model under load while its workers are killed: what happens, as figures.

Two of four dirty workers hold the model. The first half of the CPUs has the server, its HTTP workers, the dirty arbiter
and the client that measures. The other half has the dirty workers, as an operator would set it, and what stands for
other machines: the clients of the model, and the siege itself, whose `server ctl` starts an interpreter each time.
Where all share all, a latency shows how the kernel divides a CPU among processes that all want it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from pool_server import Server, wait_for

PATH = "pool_languages:Languages"
SITES = {"gthread": "pool_frameworks:flask_app", "asgi": "pool_frameworks:fast_app"}
HERE = Path(__file__).parent


def halves():
    """The CPUs for HTTP and those for the dirty workers, as texts; one CPU alone is for both."""
    cpus = sorted(os.sched_getaffinity(0))
    middle = (len(cpus) + 1) // 2
    return tuple(",".join(map(str, half)) for half in (cpus[:middle], cpus[middle:] or cpus))


class Clients:
    """A process of `pool_clients`."""

    def __init__(self, what, server, cpus):
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "pool_clients.py"), what, str(server.port), cpus],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def end(self):
        """What they saw."""
        told, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 0, told
        return json.loads(told)


@dataclass
class Findings:
    """Of one server. Times are seconds, memory is octets."""

    quiet: list[float]
    """Each request of the plain route while nothing else happened, before the load and after it."""
    loaded: list[float] = field(default_factory=list)
    right: int = 0
    """Calls of the model that were answered, and rightly."""
    failed: list[dict] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    """Whatever must not happen."""
    killed: set[tuple[str, str]] = field(default_factory=set)
    """Slot and generation of each worker that was killed."""
    holding: list[int] = field(default_factory=list)
    """Resident memory of each worker that holds the model."""
    others: list[int] = field(default_factory=list)
    """And of those that do not."""
    slots: tuple[list[int], list[int]] = ((), ())
    """Which slots hosted the model before and after."""


def serve(worker, directory, times):
    """A server whose four dirty workers have a small app, two of them the model, which reads a text so many times."""
    http, dirty = halves()
    server = Server(
        worker, directory, "--threads", "8", "--dirty-app", "pool_site:Model:4", "-c", str(HERE / "pool_pinned.py"),
        app=SITES[worker], dirty=PATH, slots=4, environment={"POOL_CPUS": dirty, "POOL_TIMES": str(times)}, cpus=http,
    )  # fmt: skip
    holders(server)
    return server


@contextlib.contextmanager
def elsewhere():
    """This process and those that it starts keep off the CPUs for HTTP."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(cpu) for cpu in halves()[1].split(",")})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def holders(server):
    """The slots that host the model, each with a ready worker."""

    def ready():
        slots = [slot for slot in server.ctl("status")["slots"] if PATH in slot["apps"]]
        return slots if all(slot["state"] == "ready" and slot["pid"] for slot in slots) else None

    return wait_for(ready, "workers that hold the model")


def besiege(server, *, quiet, seconds, pause):
    """Load the model for so long, and kill one of its workers every `pause` seconds, at least two of them.

    Half of the quiet time is before that and half after: a machine that grows slower meanwhile is so for both.
    """
    http, others = halves()
    with elsewhere():
        return strike(server, http, others, quiet=quiet, seconds=seconds, pause=pause)


def strike(server, http, others, *, quiet, seconds, pause):
    """The siege, with the CPUs of either side told."""
    first = holders(server)
    found = Findings(undisturbed(server, http, quiet / 2))
    plain, model = Clients("plain", server, http), Clients("model", server, others)
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(found.killed) < 2:
        time.sleep(pause)
        slot = random.choice(holders(server))
        os.kill(slot["pid"], signal.SIGKILL)
        found.killed.add((str(slot["slot"]), str(slot["generation"])))
    last = holders(server)
    time.sleep(pause / 2)  # the last killed one's successor has its share of the calls
    told = model.end()
    found.right, found.failed, found.odd = told["right"], told["failed"], told["odd"]
    told = plain.end()
    found.loaded = told["times"]
    found.odd += told["odd"]
    for slot in server.ctl("status")["slots"]:
        (found.holding if PATH in slot["apps"] else found.others).append(slot["rss"])
    found.slots = [slot["slot"] for slot in first], [slot["slot"] for slot in last]
    found.quiet += undisturbed(server, http, quiet / 2)
    return found


def undisturbed(server, cpus, seconds):
    """How long each request of the plain route takes while nothing else happens."""
    plain = Clients("plain", server, cpus)
    time.sleep(seconds)
    return plain.end()["times"]


def percentile(times, percent):
    """In milliseconds."""
    return sorted(times)[len(times) * percent // 100] * 1000
