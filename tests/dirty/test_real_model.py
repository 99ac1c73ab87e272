"""A real model in two of four dirty workers, called from two frameworks while its workers are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import urllib.error
from pathlib import Path
from urllib.parse import quote

import pytest
from pool_server import wait_for

TEXTS = {
    "de": "Der Zug nach München fährt heute leider erst eine halbe Stunde später ab.",
    "en": "The committee will publish its report about the harbour next week.",
    "fr": "Nous avons passé les vacances au bord de la mer avec toute la famille.",
    "es": "El ayuntamiento ha decidido construir una nueva biblioteca en el centro.",
}
SECONDS, PAUSE, UNLOADED = 60.0, 5.0, 5.0
PATH = "pool_languages:Languages"


class Load:
    """Clients in threads, and what they saw."""

    def __init__(self, server):
        self._server = server
        self._stop = threading.Event()
        self._threads = []
        self.right, self.failed, self.odd, self.times = 0, [], [], []

    def start(self, callers, plain):
        targets = [self._ask] * callers + [self._plain] * plain
        self._threads = [threading.Thread(target=target) for target in targets]
        for thread in self._threads:
            thread.start()

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(90)

    def _ask(self):
        while not self._stop.is_set():
            language = random.choice(list(TEXTS))
            try:
                said = json.loads(self._server.get(f"/tell?text={quote(TEXTS[language])}"))
            except urllib.error.HTTPError as error:
                self.failed.append(json.loads(error.read()))
            except Exception as error:
                self.odd.append(error)
            else:
                if said == {"language": language}:
                    self.right += 1
                else:
                    self.odd.append(said)

    def _plain(self):
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                assert "plain" in self._server.get("/plain")
            except Exception as error:
                self.odd.append(error)
            self.times.append(time.monotonic() - began)


def resident(pid):
    """Octets of memory that the process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def percentile(times):
    """The 99th percentile, in milliseconds."""
    return sorted(times)[len(times) * 99 // 100] * 1000


def holders(server):
    """The slots that host the model, each with a ready worker."""

    def ready():
        slots = [slot for slot in server.ctl("status")["slots"] if PATH in slot["apps"]]
        return slots if all(slot["state"] == "ready" and slot["pid"] for slot in slots) else None

    return wait_for(ready, "workers that hold the model")


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("worker", "app"), [("gthread", "flask_app"), ("asgi", "fast_app")])
def test_only_calls_on_killed_workers_fail(serve, worker, app):
    options = ("--threads", "8", "--dirty-app", "pool_site:Model:4")
    server = serve(worker, *options, app=f"pool_frameworks:{app}", dirty=PATH, slots=4)
    first = holders(server)
    assert len(first) == 2
    others = [slot for slot in server.ctl("status")["slots"] if PATH not in slot["apps"]]
    assert min(resident(slot["pid"]) for slot in first) > max(resident(slot["pid"]) for slot in others) + (
        8 << 20
    )

    quiet = Load(server)
    quiet.start(callers=0, plain=1)
    time.sleep(UNLOADED)
    quiet.end()
    load, killed = Load(server), set()
    load.start(callers=8, plain=1)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        slot = random.choice(holders(server))
        os.kill(slot["pid"], signal.SIGKILL)
        killed.add((str(slot["slot"]), str(slot["generation"])))
        time.sleep(PAUSE)
    load.end()

    assert not load.odd
    assert load.right > 100
    assert load.failed
    for failure in load.failed:
        assert failure["error"] == "DirtyWorkerError", failure
        assert (failure["details"]["slot"], failure["details"]["generation"]) in killed
    assert len(load.failed) <= 8 * len(killed)  # as many as there are callers
    assert [slot["slot"] for slot in holders(server)] == [slot["slot"] for slot in first]
    assert server.stop() == 0
    print(f"{load.right} calls, {len(load.failed)} failed of {len(killed)} kills; p99 of the plain route:")
    print(f"{percentile(quiet.times):.1f} ms before, {percentile(load.times):.1f} ms under this load")
