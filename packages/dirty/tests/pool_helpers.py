"""What several test files of the pool need."""

from __future__ import annotations

import os
import threading


class Background:
    """Calls in threads; what each gave."""

    def __init__(self):
        self.results = {}
        self._threads = []

    def call(self, name, function, *args, **kwargs):
        def run():
            try:
                self.results[name] = function(*args, **kwargs)
            except BaseException as error:
                self.results[name] = error

        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append(thread)

    def join(self):
        for thread in self._threads:
            thread.join(60)
        return self.results


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"
