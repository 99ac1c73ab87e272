"""The hot path has a budget: what one keep-alive GET may cost in calls, in files and in system calls.

Counts are exact where timings are not. The numbers may be lowered, never raised.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

CALLS, HOPS, FILES = 30, 16, 13
"""The aim is 12 hops and 6 files; what stands here is reached, and holds."""
READS = {"recv", "recv_into", "recvmsg", "read"}
WRITES = {"send", "sendall", "sendmsg", "write", "writev"}

Event = Sequence[str]


def hops(events: Sequence[Event]) -> int:
    """How often the work goes from one file to another by a call."""
    stack: list[str] = []
    count = 0
    for kind, file, _ in events:
        if kind == "call":
            count += bool(stack) and stack[-1] != file
            stack.append(file)
        elif kind == "return" and stack:
            stack.pop()
    return count


@pytest.fixture
def cheapest(server: Any) -> Sequence[Event]:
    """The events of the cheapest of some rounds: the others may have met a tick of the clock."""
    here = str(Path(__file__).parent)
    running = server(
        "counted:app",
        pythonpath=here,
        configuration="def post_worker_init(worker):\n    import counted\n    counted.begin()\n",
    )
    with running.connect() as peer:
        for _ in range(60):
            assert peer.request().body == b"hello"
        rounds = json.loads(peer.request(target="/counts").body)
    assert rounds
    found: Sequence[Event] = min(rounds, key=len)
    return found


def test_budget(cheapest: Sequence[Event]) -> None:
    """Calls, hops between files, files, and one `recv` and one `send`."""
    calls = [(file, name) for kind, file, name in cheapest if kind == "call"]
    inside = [name for kind, _, name in cheapest if kind == "c_call"]
    told = "\n".join(f"{Path(file).name}:{name}" for file, name in calls)
    assert len(calls) <= CALLS, told
    assert hops(cheapest) <= HOPS, told
    assert len({file for file, _ in calls}) <= FILES, told
    assert sum(name in READS for name in inside) == 1, inside
    assert sum(name in WRITES for name in inside) == 1, inside
