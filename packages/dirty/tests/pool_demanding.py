"""Apps whose class attributes ask for something; imported by workers only."""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import time
from pathlib import Path

from hostler_dirty import DirtyApp
from hostler_dirty.app import DirtyCancelled
from pool_apps import Echo, gate, note


class Modest(Echo):
    """Gives way to others, and stays on one CPU; `init` sees that."""

    nice = 3
    cpu_affinity = (min(os.sched_getaffinity(0)),)

    def init(self):
        self.seen = [os.nice(0), sorted(os.sched_getaffinity(0)), os.environ.get("SEEN_BY_INIT")]

    def see(self):
        return self.seen


class ShortLived(Echo):
    """Replaced after a few calls."""

    max_requests = 3
    max_requests_jitter = 2


class Grown(Echo):
    """Replaced when it has grown."""

    max_rss = 120 << 20

    def grow(self, octets):
        self.held = b"x" * octets
        return os.getpid()


class Unmoved(DirtyApp):
    """Heeds no interrupt."""

    cancel_grace = 0.5

    def stay(self, name):
        note(f"stays {name}")
        path = Path(f"{os.environ['DIRTY_NOTES']}.{name}")
        until = time.monotonic() + 60
        while time.monotonic() < until and not path.exists():
            try:
                time.sleep(0.02)
            except DirtyCancelled:
                note("told")
        return name

    def pid(self):
        return os.getpid()


class Killed(Unmoved):
    """As Unmoved, but nobody waits for it when its caller has gone."""

    kill_on_cancel = True


class OnlyOne(Echo):
    """Does not fit into the machine twice."""

    reload = "stop-first"
    no_worker_wait = 60.0

    def init(self):
        note(f"open {os.getpid()}")
        if Path(f"{os.environ['DIRTY_NOTES']}.broken").exists():
            raise RuntimeError("broken code")

    def close(self):
        note(f"shut {os.getpid()}")


class Hungry(DirtyApp):
    """Wants more memory than there is."""

    def init(self):
        if Path(f"{os.environ['DIRTY_NOTES']}.greedy").exists():
            self.eat(8 << 30)

    def eat(self, octets):
        return len(bytearray(octets))

    def give(self, octets):
        return bytes(octets)

    def giant(self, octets):
        """More than may be sent, without the memory for it."""
        return memoryview(mmap.mmap(-1, octets, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))

    def giants(self, octets):
        yield self.giant(octets)

    def echo(self, value):
        return value

    def tighten(self, octets):
        """Leave room for so many octets more."""
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        used = pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + octets, resource.getrlimit(resource.RLIMIT_AS)[1]))

    def file_size(self, octets):
        resource.setrlimit(resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))

    def loosen(self):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

    def length(self, value):
        return len(value)

    def pid(self):
        return os.getpid()

    def killed_for_memory(self, counter):
        Path(counter).write_text("low 0\noom 4\noom_kill 4\n", encoding="ascii")
        os.kill(os.getpid(), 9)
        time.sleep(30)

    def keep_open(self, name):
        """Hold every descriptor that there is until the gate opens."""
        held = []
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            os.close(held.pop())
            note(f"full {name}")
            held.append(os.open("/dev/null", os.O_RDONLY))
        gate(name)
        for fd in held:
            os.close(fd)
        return len(held)


class Loud(Echo):
    """Prints and logs."""

    def shout(self, text):
        import logging

        logging.getLogger("loud").warning(text)
        with contextlib.suppress(OSError):
            print(text)
        return text
