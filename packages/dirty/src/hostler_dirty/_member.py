"""A worker process as the arbiter sees it: how it is started, what its shared page says, how it ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostler_dirty import _arena, _line, _wire
from hostler_dirty._arena import Page
from hostler_dirty._peer import Peer
from hostler_dirty._runtime_words import COST, HEARTBEAT, SERVED, SLOTS, page_octets, unwanted

MAIN = (
    "import sys\nif sys.path and not sys.path[0]: del sys.path[0]\n"
    "from hostler_dirty._worker import main\nmain()"
)
"""What the fresh interpreter runs: the application's directory may hold modules with names of Python's own."""

QUICK = 200_000
"""Nanoseconds: waking a caller takes as long as such a call, so the next caller had better be there."""
STUCK = 8_000_000
"""A worker that has been in one call for so long, in nanoseconds, is not quick now."""
DEPTH = 16
"""The most leases per thread of a quick worker."""


@dataclass(slots=True, eq=False)
class Member:
    """One generation of a slot. `env`, `affinity` and `nice` may be changed by `dirty_post_fork`."""

    id: int
    slot: int
    generation: int
    apps: tuple[str, ...]
    threads: int
    env: dict[str, str]
    process: subprocess.Popen[bytes]
    socket: socket.socket
    page_fd: int
    page: Page
    affinity: list[int] = field(default_factory=list)
    nice: int = 0
    state: str = "booting"
    """`booting`, `ready`, `draining`, `dead`."""
    started: float = field(default_factory=time.monotonic)
    ready_at: float = 0.0
    peer: Peer | None = None
    doom: str = ""
    """Why the arbiter ends it: `reload`, `max_requests`, `max_rss`, `unhealthy`, `timeout`, `stop`, …"""
    exit_reason: str = ""
    last_error: str = ""
    aborted: float = 0.0
    served_limit: int = 0
    rss_limit: int = 0
    """Resident octets beyond which it is replaced; 0: none."""

    def __str__(self) -> str:
        """As the log names it."""
        apps = ", ".join(self.apps)
        return f"dirty worker {self.slot} (pid {self.pid}, generation {self.generation}, {apps})"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def age(self) -> int:
        return self.generation

    @property
    def ppid(self) -> int:
        """The arbiter's."""
        return os.getpid()

    @property
    def log(self) -> logging.Logger:
        """The server's log."""
        return logging.getLogger("hostler.dirty")

    @property
    def app_paths(self) -> list[str]:
        """`module:Class` of each of its apps."""
        return list(self.apps)

    @property
    def served(self) -> int:
        """Calls that it has served."""
        return int(self.page.words[SERVED])

    def beat_age(self) -> float:
        """Seconds since its watcher last ran."""
        beat = int(self.page.words[HEARTBEAT])
        return (time.monotonic_ns() - beat) / 1e9 if beat else 0.0

    def running(self) -> list[tuple[int, int, int]]:
        """The calls that run now: (call id, deadline ns, start ns)."""
        words = self.page.words
        found = []
        for index in range(self.threads):
            at = SLOTS + 3 * index
            if words[at]:
                deadline, began = int(words[at + 1]), int(words[at + 2])
                mark = unwanted(self.threads, index)
                if words[mark] == began:  # nobody wants it any more, and its app has it killed then
                    deadline = min(deadline or int(words[mark + 1]), int(words[mark + 1]))
                found.append((int(words[at]), deadline, began))
        return found

    def room(self) -> int:
        """How many leases beyond one per thread are worth while: several while its calls are very short."""
        cost = int(self.page.words[COST])
        if not cost or cost > QUICK:
            return 0
        before = time.monotonic_ns() - STUCK
        return 0 if any(began < before for _, _, began in self.running()) else self.threads * (DEPTH - 1)

    def rss(self) -> int:
        """Resident octets; 0: unknown here."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kill(self, number: int) -> None:
        """Send a signal, unless it has been reaped."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    def orders(self, boot: dict[str, Any], doorbell: int) -> None:
        """Tell it to go: the frame BOOT with its page and a doorbell."""
        assert self.peer is not None
        if self.affinity:
            # At once: its interpreter starts beside the HTTP workers otherwise. What is refused it will tell itself.
            with contextlib.suppress(OSError, ValueError):
                os.sched_setaffinity(self.pid, self.affinity)
        body = _line.encode({**boot, "env": self.env, "affinity": self.affinity, "nice": self.nice})
        try:
            bell = os.dup(doorbell)
        except OSError:
            self.kill(signal.SIGKILL)  # no descriptor is left: its slot tries again later
            return
        self.peer.send(_wire.pack(_wire.BOOT, 0, body), (self.page_fd, bell))

    def fate(self) -> dict[str, Any]:
        """How it ended, for the callers of its last calls."""
        code = self.process.returncode
        number = -code if code is not None and code < 0 else 0
        return {
            "worker_id": self.id,
            "slot": self.slot,
            "generation": self.generation,
            "pid": self.pid,
            "signal": signal.Signals(number).name if number else None,
            "exit_code": code if code is not None and code >= 0 else None,
            "reason": self.exit_reason,
        }


def start(
    identity: int, slot: int, generation: int, apps: tuple[str, ...], threads: int, env: dict[str, str]
) -> Member:
    """A fresh interpreter, which waits for its orders. Raises OSError."""
    page_fd, page = _page(threads)
    try:
        ours, theirs = _line.pair()
    except OSError:
        page.close()
        os.close(page_fd)
        raise
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
        )
    except OSError:
        ours.close()
        page.close()
        os.close(page_fd)
        raise
    finally:
        theirs.close()
    return Member(identity, slot, generation, apps, threads, dict(env), process, ours, page_fd, page)


def _page(threads: int) -> tuple[int, Page]:
    page_fd = _arena.create()
    try:
        return page_fd, Page(page_fd, create=True, octets=page_octets(threads))
    except OSError:
        os.close(page_fd)
        raise
