"""Workers that are replaced before they leave."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hostler._recycling import memory


def test_max_requests(server: Any, wait_until: Callable[..., Any]) -> None:
    """After so many requests another worker takes over; none fails meanwhile."""
    server.configure(max_requests=5).start()
    (before,) = server.settled(1)
    for _ in range(5):
        assert server.get() == str(before)
    server.logged(f"pid={before} is to be replaced: max_requests (5 served)")
    wait_until(lambda: server.get() != str(before), "another worker")
    server.logged(f"pid={before} ended")
    assert before not in server.settled(1)


def test_only_one_leaves_at_a_time(server: Any) -> None:
    """Two that are due go one after the other."""
    server.configure(workers=2, max_worker_lifetime=1).start()
    server.logged(" is to be replaced", 3)
    lines = [line for line in server.log().splitlines() if "to be replaced" in line or " ended" in line]
    kinds = ["replaced" if "replaced" in line else "ended" for line in lines]
    assert kinds[:5] == ["replaced", "ended", "replaced", "ended", "replaced"], lines


def test_replacement_that_fails_keeps_the_old_one(server: Any) -> None:
    """No worker leaves before its successor is ready."""
    server.configure(max_requests=1).start()
    (before,) = server.settled(1)
    server.write("app.py", "import nowhere_at_all\n")
    assert server.get() == str(before)
    server.logged("exited with code 3", 2)
    assert server.get() == str(before)


@pytest.mark.load
def test_max_worker_rss(server: Any) -> None:
    """A worker that grew is replaced."""
    server.write(
        "app.py",
        "import os\nKEPT = []\n"
        "def application(environ, start_response):\n"
        "    KEPT.append(os.urandom(1 << 20) * 100)\n"
        "    start_response('200 OK', [('Content-Length', '2')])\n"
        "    return [b'ok']\n",
    )
    server.configure(max_worker_rss="90m").start()
    (before,) = server.settled(1)
    server.get()
    server.logged(f"pid={before} is to be replaced: max_worker_rss")
    server.logged(f"pid={before} ended")


def test_memory_of_a_process() -> None:
    """Octets; 0 for a process that is not there."""
    assert memory(os.getpid()) > 1 << 20
    assert memory(2**22 + 1) == 0
