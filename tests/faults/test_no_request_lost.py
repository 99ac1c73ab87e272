"""Everything that an operator does to a running server, while requests come: none may fail."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import Any

import pytest

pytestmark = pytest.mark.soak

TRAFFIC = 60.0
"""Seconds of traffic at least."""
UPGRADES, RELOADS, CHANGES = 5, 20, 20


@pytest.mark.timeout(600)
@pytest.mark.parametrize("keep", [False, True])
def test_reloads_upgrades_and_changes(faulty: Any, keep: bool) -> None:
    """20 HUPs, 5 upgrades, 20 times one worker more and one fewer."""
    faulty.start(workers=2)
    arbiter = faulty.pid
    began = time.monotonic()
    with faulty.traffic(keep=keep) as traffic:
        for round_ in range(UPGRADES):
            for step in range(RELOADS // UPGRADES):
                os.kill(arbiter, signal.SIGHUP)
                faulty.logged("reloaded: ", round_ * (RELOADS // UPGRADES) + step + 1)
                traffic.flows(20)
            for step in range(CHANGES // UPGRADES):
                for number, text in ((signal.SIGTTIN, "workers: 3"), (signal.SIGTTOU, "workers: 2")):
                    os.kill(arbiter, number)
                    faulty.logged(f"[{arbiter}] [INFO] {text}", step + 1)
                    traffic.flows(20)
            os.kill(arbiter, signal.SIGUSR2)
            faulty.logged("ready: ", round_ + 2)
            pids = re.findall(r"the new arbiter has pid (\d+)", faulty.log)
            os.kill(arbiter, signal.SIGTERM)
            faulty.logged("this one takes its place", round_ + 1)
            arbiter = int(pids[-1])
            traffic.flows(20)
        while time.monotonic() - began < TRAFFIC:
            traffic.flows(20)
    assert not traffic.failures
    assert not faulty.twice()
    assert traffic.tally["idle"] * 1000 <= traffic.tally["ok"]
    os.kill(arbiter, signal.SIGTERM)
    faulty.wait_for(lambda: not faulty.running.group(), "the end of all")


@pytest.mark.timeout(300)
def test_slow_import_stalls_nobody(faulty: Any) -> None:
    """A reload of an application that takes 5 s to import: no request waits for it."""
    faulty.start(workers=2)
    text = (faulty.directory / "app.py").read_text()
    faulty.write("app.py", "import time; time.sleep(5)\n" + text)
    with faulty.traffic() as traffic:
        for count in (1, 2):
            faulty.send(signal.SIGHUP)
            faulty.logged("reloaded: ", count)
        traffic.flows(50)
    assert not traffic.failures
    assert traffic.slowest < 4, traffic.slowest
    print(f"slowest answer: {traffic.slowest * 1000:.0f} ms of {traffic.tally['ok']}")
