"""The small parts without processes: page, table of children, back-off, hooks, signals."""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from hostler import _reexec, _signals
from hostler._children import SERVICE, WORKER, Child, Children
from hostler._heartbeat import ABSENT, READY, SLOTS, Page, SlotStatus
from hostler._hooks import HookTable
from hostler._nursery import LONGEST, Backoff
from hostler._turn import Turn
from hostler.errors import ConfigError
from hostler.settings import Settings
from hypothesis import given, settings
from hypothesis import strategies as st

# -- the shared page -----------------------------------------------------------------------------------


def test_page_is_shared_by_fork() -> None:
    """What a child writes, its parent reads."""
    page = Page()
    pid = os.fork()
    if pid == 0:
        page.raise_flag(3, READY)
        page.deadline[3] = 12.5
        page.say(3, "línea ✓")
        SlotStatus(page, 3).requests = 7
        os._exit(0)
    os.waitpid(pid, 0)
    assert page.flags[3] == READY
    assert page.deadline[3] == 12.5
    assert page.said(3) == "línea ✓"
    assert page.requests[3] == 7
    page.clear(3)
    assert (page.flags[3], page.requests[3], page.said(3), page.deadline[3]) == (0, 0, "", math.inf)


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_status_text_is_cut_not_broken(text: str) -> None:
    """Any text fits somehow, and its neighbour's stays."""
    page = Page()
    page.say(1, "before")
    page.say(3, "after")
    page.say(2, text)
    assert page.said(1) == "before"
    assert page.said(3) == "after"
    assert text.encode(errors="replace").startswith(page.said(2).rstrip("\ufffd").encode())


@given(st.lists(st.one_of(st.none(), st.integers(0, 1000)), min_size=1, max_size=8), st.data())
@settings(max_examples=100, deadline=None)
def test_fewest_elsewhere(loads: list[int | None], data: Any) -> None:
    """The least of the others that serve."""
    page = Page()
    page.used = len(loads)
    for slot, load in enumerate(loads):
        page.load[slot] = ABSENT if load is None else load
    slot = data.draw(st.integers(0, len(loads) - 1))
    others = [load for other, load in enumerate(loads) if other != slot and load is not None]
    assert SlotStatus(page, slot).fewest_elsewhere() == min(others, default=-1)


def test_connections_count_only_while_serving() -> None:
    """A worker that is not ready is nobody to leave connections to."""
    page = Page()
    page.used = 2
    status = SlotStatus(page, 0)
    status.connections = 5
    assert status.connections == 0
    assert SlotStatus(page, 1).fewest_elsewhere() == -1
    page.load[0] = 0
    status.connections = 5
    assert SlotStatus(page, 1).fewest_elsewhere() == 5


def test_one_process_at_a_time() -> None:
    """Looking and writing is one step among processes, and a holder that is killed holds up nobody."""
    page, turn = Page(), Turn()
    pids = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            for _ in range(500):
                with turn:
                    page.told = page.told + 1
            turn.__enter__()
            os.kill(os.getpid(), signal.SIGKILL)
        pids.append(pid)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    assert page.told == 8 * 500


# -- the table of children -----------------------------------------------------------------------------


def child(kind: str, pid: int, slot: int, age: int, generation: int = 1) -> Child:
    return Child(kind, "x", slot, age, generation, 0.0, None, pid=pid)


def test_slots_and_ages() -> None:
    """Slots are used again, ages never."""
    table = Children()
    for pid in (10, 11, 12):
        table.add(child(WORKER, pid, table.free_slot(), table.next_age(WORKER)))
    assert [one.slot for one in table.workers()] == [0, 1, 2]
    assert table.remove(11) is not None
    assert table.remove(11) is None
    assert table.free_slot() == 1
    assert table.next_age(WORKER) == 4
    assert table.next_age(SERVICE) == 1
    assert table.highest_slot() == 2


def test_full_table() -> None:
    """No slot is left: -1."""
    table = Children()
    for pid in range(SLOTS):
        table.add(child(WORKER, pid + 10, pid, pid))
    assert table.free_slot() == -1


def test_generations_and_stopping() -> None:
    """Staying are those of a generation that were not told to stop, oldest first."""
    table = Children()
    table.add(child(WORKER, 1, 0, 3, 2))
    table.add(child(WORKER, 2, 1, 1, 1))
    table.add(child(WORKER, 3, 2, 2, 2))
    table.add(child(SERVICE, 4, 3, 1, 1))
    assert [one.pid for one in table.staying(2)] == [3, 1]
    table.workers(2)[0].stopping = "graceful"
    assert [one.pid for one in table.staying(2)] == [1]
    assert [one.pid for one in table.services()] == [4]
    assert [one.pid for one in table.workers()] == [2, 3, 1]


# -- back-off ------------------------------------------------------------------------------------------


def test_backoff_grows_to_its_longest() -> None:
    """0, 0.1, 0.2 … 10 s, each with at most a fifth of jitter."""
    backoff = Backoff()
    expected = [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST, LONGEST]
    for delay in expected:
        assert delay <= backoff.failed(100.0) <= delay * 1.2
    assert not backoff.allows(100.0)
    assert backoff.allows(100.0 + LONGEST * 1.2)


def test_backoff_forgets_after_health() -> None:
    """A worker that served for half a minute does not pay for its predecessors."""
    backoff = Backoff()
    for _ in range(8):
        backoff.failed(0.0)
    assert backoff.failed(1000.0, healthy_for=30.0) == 0.0
    assert backoff.allows(1000.0)


# -- hooks ---------------------------------------------------------------------------------------------


def table(**hooks: Any) -> HookTable:
    return HookTable(Settings(**hooks), logging.getLogger("hooks.test"))


def test_hook_takes_what_it_wants() -> None:
    """`post_request` may have two, three or four parameters."""
    got: list[Any] = []
    for hook in (
        lambda a, b: got.append(2),
        lambda a, b, c: got.append(3),
        lambda *all_: got.append(len(all_)),
    ):
        table(post_request=hook).call("post_request", 1, 2, 3, 4)
    assert got == [2, 3, 4]


@pytest.mark.parametrize(
    "hook", [lambda: None, lambda a: None, lambda a, b, c: None, lambda a, b, *, c: None]
)
def test_hook_with_wrong_parameters(hook: Callable[..., Any]) -> None:
    """Told by its name at the start."""
    with pytest.raises(ConfigError, match=r"^pre_fork: .* must take 2 argument"):
        table(pre_fork=hook)


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3)])
def test_hook_that_raises(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """Logged, and no further."""

    def hook(server: Any) -> None:
        raise error

    table(on_exit=hook).call("on_exit", None)
    assert "hook on_exit failed" in caplog.text
    table().call("on_exit", None)


# -- signals -------------------------------------------------------------------------------------------


def test_signals_are_queued_in_order() -> None:
    """Repeated ones once, but for TTIN and TTOU, of which each counts."""
    queue = _signals.SignalQueue()
    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGHUP, signal.SIGTTIN, signal.SIGTERM):
        queue.put(number)
    assert queue.take() == [signal.SIGHUP, signal.SIGTTIN, signal.SIGTTIN, signal.SIGTERM]
    assert queue.take() == []
    queue.close()


def test_storm_of_signals_is_bounded() -> None:
    """A full pipe and a full queue are no harm."""
    queue = _signals.SignalQueue()
    for _ in range(100_000):
        queue.put(signal.SIGTTIN)
        queue.wake()
    assert len(queue.take()) == _signals.MOST
    queue.close()


def test_handler_wakes_a_sleeping_loop() -> None:
    """A real signal makes the descriptor readable."""
    queue = _signals.SignalQueue()
    before = signal.getsignal(signal.SIGUSR1)
    queue.install([signal.SIGUSR1])
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        limit = time.monotonic() + 30
        while not (taken := queue.take()):
            assert time.monotonic() < limit
        assert taken == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)
        queue.close()


# -- the command of an upgrade -------------------------------------------------------------------------


def test_interpreter_options_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python itself was started with goes on, the way of starting does not."""
    for words, kept in {
        ("-m", "hostler", "-w", "2"): [],
        ("-X", "dev", "-O", "-m", "hostler"): ["-X", "dev", "-O"],
        ("-W", "error", "/usr/bin/server", "-b", "x"): ["-W", "error"],
        ("-Wd", "-u", "script"): ["-Wd", "-u"],
    }.items():
        monkeypatch.setattr("sys.orig_argv", ["python", *words])
        assert _reexec.command(("-w", "3"))[1:] == [*kept, "-m", "hostler", "-w", "3"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "sockets": [], "activated": false}']
)
def test_foreign_hand_over_is_ignored(text: str) -> None:
    """Not ours, or from another parent; the variable is gone either way."""
    environ = {_reexec.VARIABLE: text}
    assert _reexec.handed_over(environ) is None
    assert not environ
