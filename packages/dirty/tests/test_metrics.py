"""The pool's figures: how they are added up, how they are shown, and that a real pool counts what happens."""

from __future__ import annotations

import asyncio
import re
import socket

import pytest
from hostler_dirty import (
    DirtyAppError,
    DirtyAppNotFoundError,
    DirtyError,
    DirtyNoWorkersAvailableError,
    DirtyQueueFullError,
    DirtyTimeoutError,
    DirtyWorkerError,
    _exposition,
    _metrics,
    close_dirty_client_async,
    stash,
)
from hostler_dirty._line import Control
from hostler_dirty._metrics import METRICS, MOST, OTHER, Figures
from hostler_dirty._tally import Tally
from hostler_dirty.errors import DirtyProtocolError
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_harness import wait_for
from pool_helpers import Background

ECHO = "pool_apps:Echo"
SERIES = re.compile(r'^(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


# -- the table -------------------------------------------------------------------------------------------


def test_counters_and_histograms():
    figures = Figures()
    figures.add("rejected_total", ("a", "full"))
    figures.add("rejected_total", ("a", "full"), 2)
    figures.observe("batch_size", ("a", "run"), 3)
    figures.observe("batch_size", ("a", "run"), 4)
    figures.observe("batch_size", ("a", "run"), 1000)
    figures.call(("a", "run", "ok"), 250_000, 10, 20)
    rows = {(name, *labels): row for name, labels, row in figures.total()}
    assert rows["rejected_total", "a", "full"] == [3]
    assert rows["batch_size", "a", "run"] == [1007, 1000, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]
    assert rows["call_seconds", "a", "run", "ok"][:4] == [250_000, 250_000, 0, 1]
    assert (rows["payload_bytes", "in"], rows["payload_bytes", "out"]) == ([10], [20])


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 10**13)), max_size=8), max_size=5),
    st.lists(st.integers(1, 5), max_size=5),
)
def test_parts_make_up_the_whole(parts, counts):
    """What is told piece by piece, and merged elsewhere, is all that was counted."""
    here, there, told = Figures(), Figures(), {}
    for part in parts:
        for app, value in part:
            here.observe("queue_wait_seconds", (app,), value)
            here.call((app, "go", "ok"), value, 1, 2)
        for count in counts:
            here.add("cancelled_total", ("run",), count)
        there.merge(_metrics.read([list(row) for row in here.since(told)]))
        assert here.since(told) == []
    assert [r for r in there.total() if any(r[2])] == [r for r in here.total() if any(r[2])]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=30), st.sampled_from((0.5, 0.95, 0.99, 1.0)))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values, share):
    figures = Figures()
    for value in values:
        figures.observe("grant_seconds", (), value)
    row = dict((name, row) for name, _, row in figures.total())["grant_seconds"]
    bounds = METRICS["grant_seconds"].bounds
    said = _metrics.quantile(bounds, row, share)
    true = sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]
    below = max((bound for bound in bounds if bound < true), default=0)
    above = min((bound for bound in bounds if bound >= true), default=max(values))
    assert below - 1 <= said <= min(above, max(values)) + 1


def test_a_part_s_largest_value_is_its_own():
    """Not the largest of all times."""
    figures, told = Figures(), {}
    figures.observe("grant_seconds", (), 10**9)
    assert figures.since(told)[0][2][1] == 10**9
    figures.observe("grant_seconds", (), 90_000)
    assert figures.since(told)[0][2][:3] == [90_000, 100_000, 1]


def test_names_that_callers_make_up_do_not_fill_the_memory():
    figures = Figures()
    for number in range(3 * MOST):
        figures.call(("a", f"action{number}", "ok"), 1, 0, 0)
    rows = figures.total()
    assert len(rows) <= MOST + 1
    other = next(row for _, labels, row in rows if labels == (OTHER, OTHER, OTHER))
    assert sum(row[2] for name, _, row in rows if name == "call_seconds") == 3 * MOST
    assert other[2] > MOST


@pytest.mark.parametrize(
    "told",
    [
        7,
        [7],
        [["nothing", [], [1]]],
        [["stash_bytes", ["a label"], [1]]],
        [["grant_seconds", [], [1, 2]]],
        [["stash_bytes", [], ["x"]]],
    ],
)
def test_what_are_no_figures_is_refused(told):
    with pytest.raises(DirtyProtocolError, match="another shape"):
        _metrics.read(told)


def test_an_idle_worker_tells_nothing():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        tally = Tally(Control(ours), 2)
        tally.tables[1].add("cancelled_total", ("run",))
        tally.turn(10**12)
        assert b"cancelled_total" in theirs.recv(65536)
        for second in range(2, 10):
            tally.turn(second * 10**12)
        with pytest.raises(BlockingIOError):
            theirs.recv(65536)


# -- how it is shown -------------------------------------------------------------------------------------


def parsed(text):
    """Prometheus' text as {(name, labels…): value}; the form is checked."""
    found, kinds, helped = {}, {}, set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in helped
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name in helped
            assert name not in kinds
            kinds[name] = kind
        else:
            match = SERIES.match(line)
            assert match, line
            name, labels, value = match[1], LABEL.findall(match[2] or ""), float(match[3])
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert (kinds.get(family) == "histogram") or kinds[name] in ("counter", "gauge")
            key = (name, *labels)
            assert key not in found
            found[key] = value
    return found


def test_prometheus_text():
    figures = Figures()
    figures.call(('a"b\\c\nd', "run", "ok"), 300_000, 5, 7)
    figures.call(('a"b\\c\nd', "run", "ok"), 400 * 10**9, 5, 7)
    figures.add("rejected_total", ("x", "full"))
    found = parsed(_exposition.prometheus([*figures.total(), ("stash_bytes", (), [9])]))
    app = ("app", 'a\\"b\\\\c\\nd')
    labels = (app, ("action", "run"), ("outcome", "ok"))
    buckets = [v for k, v in found.items() if k[0] == "hostler_dirty_call_seconds_bucket"]
    assert buckets == sorted(buckets)
    assert found[("hostler_dirty_call_seconds_bucket", *labels, ("le", "0.00025"))] == 0
    assert found[("hostler_dirty_call_seconds_bucket", *labels, ("le", "0.0005"))] == 1
    assert found[("hostler_dirty_call_seconds_bucket", *labels, ("le", "300"))] == 1
    assert found[("hostler_dirty_call_seconds_bucket", *labels, ("le", "+Inf"))] == 2
    assert found[("hostler_dirty_call_seconds_count", *labels)] == 2
    assert found[("hostler_dirty_call_seconds_sum", *labels)] == 400.0003
    assert found["hostler_dirty_rejected_total", ("app", "x"), ("reason", "full")] == 1
    assert found[("hostler_dirty_stash_bytes",)] == 9


def test_names_for_a_statsd():
    figures = Figures()
    figures.observe("queue_wait_seconds", ("m:A",), 80_000)
    figures.add("rejected_total", ("m.n:A", "full"), 2)
    told = {name: (value, kind) for name, value, kind in _exposition.measures(figures.total())}
    assert told["hostler.dirty.rejected_total.m_n_A.full"] == (2, "counter")
    assert told["hostler.dirty.queue_wait_seconds.m_A.count"] == (1, "counter")
    assert told["hostler.dirty.queue_wait_seconds.m_A.sum"] == (pytest.approx(0.00008), "counter")
    assert told["hostler.dirty.queue_wait_seconds.m_A.max"] == (pytest.approx(0.00008), "gauge")
    assert told["hostler.dirty.queue_wait_seconds.m_A.p99"][0] <= 0.00008
    assert not [name for name in told if ":" in name]


# -- a real pool -----------------------------------------------------------------------------------------


def value(pool, name, **labels):
    """A counter or gauge, or the count of a histogram, summed over the rows that have these labels."""
    rows = pool.ctl("metrics")["metrics"]
    mine = [r for r in rows if r["name"] == f"hostler_dirty_{name}" and labels.items() <= r["labels"].items()]
    return sum(row["value"] if row["value"] is not None else row["count"] for row in mine)


def comes(pool, wanted, name, **labels):
    """Wait until the pool tells this value."""
    wait_for(lambda: value(pool, name, **labels) == wanted, f"{name}{labels} {wanted}")


def test_calls_are_counted_by_their_outcome(make_pool, client):
    pool = make_pool("Echo")
    for number in range(20):
        client.execute(ECHO, "echo", number)
    assert len(client.execute(ECHO, "big", 3_000_000)) == 3_000_000
    assert list(client.stream(ECHO, "count_to", 5)) == list(range(5))
    assert client.execute(ECHO, "total", iter([1, 2])) == 3
    for action in ("fail", "unsendable"):
        with pytest.raises(DirtyError):
            client.execute(ECHO, action)
    while not pool.noted("resting"):  # once that it was not late before it began
        with pytest.raises(DirtyTimeoutError):
            client.options(timeout=0.3).execute(ECHO, "rest")
    with pytest.raises(DirtyAppError):
        client.execute(ECHO, "no_such_action")
    comes(pool, 20, "call_seconds", app=ECHO, action="echo", outcome="ok")
    comes(pool, 1, "call_seconds", action="fail", outcome="error")
    comes(pool, 1, "call_seconds", action="unsendable", outcome="error")
    wait_for(lambda: value(pool, "call_seconds", action="rest", outcome="timeout"), "a timeout")
    wait_for(lambda: value(pool, "interrupt_total", slot="0", result="raised"), "its interrupt")
    comes(pool, 1, "time_to_first_chunk_seconds", app=ECHO, action="count_to")
    comes(pool, 1, "rejected_total", app=ECHO, reason="not_found")
    comes(pool, 1, "init_seconds", app=ECHO)
    assert value(pool, "payload_bytes", dir="out") > 3_000_000
    assert value(pool, "payload_bytes", dir="in") > 100
    assert value(pool, "queue_wait_seconds", app=ECHO) >= value(pool, "grant_seconds") >= 1
    assert value(pool, "app_ready", app=ECHO) == 1
    assert value(pool, "worker_rss_bytes", slot="0") > 1_000_000


@pytest.mark.load
def test_every_thread_of_a_worker_counts(make_pool, client):
    pool = make_pool("Echo", threads=4)
    background = Background()
    for number in range(8):
        background.call(number, lambda n: [client.execute(ECHO, "add", n, i) for i in range(20)], number)
    assert background.join() == {n: [n + i for i in range(20)] for n in range(8)}
    comes(pool, 160, "call_seconds", app=ECHO, action="add", outcome="ok")


def test_batches_are_counted(make_pool, client):
    pool = make_pool("Batched", slow_call=0.1)
    background = Background()
    for number in range(8):
        background.call(number, client.execute, "pool_apps:Batched", "square", number)
    assert background.join() == {number: number * number for number in range(8)}
    comes(pool, 8, "call_seconds", app="pool_apps:Batched", action="square", outcome="ok")
    sizes = [r for r in pool.ctl("metrics")["metrics"] if r["name"] == "hostler_dirty_batch_size"]
    assert [row["sum"] for row in sizes] == [8.0]
    assert client.execute("pool_apps:Batched", "slow", "x") == "x"
    wait_for(lambda: "slow call: pool_apps:Batched.slow took" in pool.logged(), "the line of the log")


def measured(pool, name):
    """The sum of what the logger was told of a counter, or the last of a gauge."""
    told = [line.split() for line in pool.noted(f"measure hostler.dirty.{name} ")]
    if told and told[-1][3] == "gauge":
        return float(told[-1][2])
    return sum(float(words[2]) for words in told)


def test_queues_and_rejections_are_counted(make_pool, client):
    path, label = "pool_apps:Queued", "pool_apps_Queued"
    pool = make_pool("Queued", metrics_interval=0.3)
    background = Background()
    background.call("first", client.execute, path, "hold_noted", "a")
    wait_for(lambda: pool.noted("holds a"), "the first call")
    comes(pool, 1, "inflight", slot="0")
    with pytest.raises(DirtyTimeoutError):
        client.options(max_queue_wait=0.2).execute(path, "echo", 0)
    comes(pool, 1, "rejected_total", app=path, reason="wait")
    background.call("second", client.options(priority=1).execute, path, "echo", 2)
    background.call("third", client.execute, path, "echo", 3)
    comes(pool, 1, "queue_depth", app=path, priority="1")
    comes(pool, 1, "queue_depth", app=path, priority="4")
    with pytest.raises(DirtyQueueFullError):
        client.execute(path, "echo", 4)
    comes(pool, 1, "rejected_total", app=path, reason="full")
    wait_for(lambda: measured(pool, f"queue_depth.{label}.1") == 1, "the gauge")
    pool.open("a")
    assert background.join() == {"first": "a", "second": 2, "third": 3}
    wait_for(lambda: measured(pool, f"queue_depth.{label}.1") == 0, "the empty queue")
    wait_for(lambda: measured(pool, f"rejected_total.{label}.full") == 1, "the rejection")
    wait_for(lambda: measured(pool, f"call_seconds.{label}.echo.ok.count") == 2, "the calls")
    assert measured(pool, f"app_ready.{label}") == 1


def test_a_killed_worker_is_counted(make_pool, client):
    pool = make_pool("Echo")
    with pytest.raises(DirtyWorkerError):
        client.execute(ECHO, "die")
    pool.settled(2)
    comes(pool, 1, "worker_restarts_total", slot="0", reason="killed")
    comes(pool, 1, "call_seconds", app=ECHO, outcome="died")
    assert pool.slot()["ignored"] == 0


@pytest.mark.load
def test_an_interrupt_that_native_code_ignores_is_counted(make_pool, client):
    pool = make_pool("Impatient")

    def killed():
        if not value(pool, "interrupt_total", slot="0", result="killed"):
            with pytest.raises(DirtyError):
                client.options(timeout=0.2).execute("pool_apps:Impatient", "hold_gil", 60)
        return value(pool, "worker_restarts_total", slot="0", reason="timeout")

    wait_for(killed, "its end")
    assert pool.slot()["ignored"] >= 1


def test_an_interrupt_that_is_swallowed_is_counted(make_pool, client):
    pool = make_pool("Echo")

    async def leave():
        task = asyncio.ensure_future(client.execute_async(ECHO, "deaf", "never"))
        while not pool.noted("deaf"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await close_dirty_client_async()

    asyncio.run(leave())
    comes(pool, 1, "interrupt_total", slot="0", result="swallowed")
    comes(pool, 1, "call_seconds", app=ECHO, action="deaf", outcome="ok")
    assert pool.slot()["ignored"] == 1


def test_callers_that_leave_are_counted(make_pool, client):
    pool = make_pool("Echo")
    background = Background()
    background.call("first", client.execute, ECHO, "hold_noted", "a")
    wait_for(lambda: pool.noted("holds a"), "the first call")
    with pytest.raises(DirtyTimeoutError):
        client.options(timeout=0.2, max_queue_wait=30).execute(ECHO, "echo", 1)
    wait_for(
        lambda: (
            value(pool, "cancelled_total", stage="queue") + value(pool, "rejected_total", reason="deadline")
        ),
        "the end of the waiting call",
    )
    pool.open("a")
    assert background.join() == {"first": "a"}
    stream = client.stream(ECHO, "count_to", 1000, 0.01)
    next(iter(stream))
    stream.close()
    comes(pool, 1, "cancelled_total", stage="run")
    comes(pool, 1, "call_seconds", action="count_to", outcome="cancelled")


def test_a_drained_worker_s_last_figures_are_kept(make_pool, client):
    pool = make_pool("Echo")
    for round_ in range(1, 3):
        for number in range(5):
            client.execute(ECHO, "echo", number)
        assert pool.ctl("drain", "0")["ok"]
        pool.settled(round_ + 1)
        comes(pool, 5 * round_, "call_seconds", action="echo", outcome="ok")
    comes(pool, 2, "worker_restarts_total", slot="0", reason="drained")


def test_calls_without_a_worker_are_counted(make_pool, client, tmp_path):
    path, mark = "pool_apps:FailingInit", tmp_path / "fail"
    mark.touch()
    pool = make_pool("FailingInit", boot="background", environment={"DIRTY_FAIL": str(mark)})
    with pytest.raises(DirtyNoWorkersAvailableError):
        client.execute(path, "ok")
    with pytest.raises(DirtyAppNotFoundError):
        client.execute("no:App", "ok")
    comes(pool, 1, "rejected_total", app=path, reason="no_worker")
    comes(pool, 1, "rejected_total", app="no:App", reason="not_found")
    assert value(pool, "app_ready", app=path) == 0


def test_the_real_text_for_prometheus(echo_pool, client):
    before = value(echo_pool, "stash_bytes")
    stash.put("metrics", "key", b"x" * 1000)
    assert value(echo_pool, "stash_bytes") >= before + 1000
    stash.delete("metrics", "key")
    found = parsed(echo_pool.ctl("metrics", "--format", "prometheus"))
    assert found["hostler_dirty_app_ready", ("app", ECHO)] == 1
    assert found.keys() == parsed(echo_pool.ctl("metrics", "--format=prometheus")).keys()
