"""Clients of a server with a dirty pool, in a process of their own; they stop when their standard input ends.

    python pool_clients.py plain PORT CPUS     one client of the plain route, a request every few milliseconds
    python pool_clients.py model PORT CPUS     eight clients of the model, each with its next request at once

CPUS are those to run on, separated by commas. What they saw is printed as JSON at the end.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import sys
import threading
import time
from urllib.parse import quote

TEXTS = {
    "de": "Der Zug nach München fährt heute leider erst eine halbe Stunde später ab.",
    "en": "The committee will publish its report about the harbour next week.",
    "fr": "Nous avons passé les vacances au bord de la mer avec toute la famille.",
    "es": "El ayuntamiento ha decidido construir una nueva biblioteca en el centro.",
}
CALLERS = 8
PAUSE = 0.005
PATIENCE = 60.0


class Site:
    """One connection, which is made anew when it was closed."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def get(self, path):
        """(status, body)."""
        try:
            return self._get(path)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self._connection.close()  # an idle connection may be closed at any time
            return self._get(path)

    def _get(self, path):
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def plain(port, stop):
    site, times, odd = Site(port), [], []
    while not stop.is_set():
        began = time.perf_counter()
        status, body = site.get("/plain")
        times.append(time.perf_counter() - began)
        if status != 200 or b"plain" not in body:
            odd.append(repr((status, body)))
        time.sleep(PAUSE)
    return {"times": times, "odd": odd}


def model(port, stop):
    seen = {"right": 0, "failed": [], "odd": []}
    lock = threading.Lock()

    def ask():
        site = Site(port)
        while not stop.is_set():
            language = random.choice(list(TEXTS))
            try:
                status, body = site.get(f"/tell?text={quote(TEXTS[language])}")
                said = json.loads(body)
            except (OSError, ValueError, http.client.HTTPException) as error:
                status, said = 0, repr(error)
            with lock:
                if status == 502:
                    seen["failed"].append(said)
                elif said == {"language": language}:
                    seen["right"] += 1
                else:
                    seen["odd"].append(repr((status, said)))

    threads = [threading.Thread(target=ask) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def main():
    what, port, cpus = sys.argv[1:]
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    print(json.dumps({"plain": plain, "model": model}[what](int(port), stop)))


if __name__ == "__main__":
    main()
