"""`server ctl dirty`: what it answers, what it refuses, and the line that the log has for each thing that happens."""

from __future__ import annotations

import asyncio
import re
import signal

import pytest
from hostler_dirty import DirtyAppNotFoundError, DirtyUsageError, _readiness, close_dirty_client_async
from pool_harness import wait_for
from pool_helpers import Background

ECHO = "pool_apps:Echo"
NAME = r"dirty worker 0 \(pid %d, generation %d, pool_apps:Echo\)"


def logs(pool, pattern):
    """Wait for a line of the log."""
    return wait_for(lambda: re.search(pattern, pool.logged(), re.MULTILINE), f"a line {pattern!r}")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["frob"], "'frob' is none of: status, ready [APP], metrics"),
        (["status", "now"], "usage: status"),
        (["metrics", "--format", "xml"], "usage: metrics [--format prometheus]"),
        (["add", "none"], "'none' is no number from 1 on"),
        (["add", "0"], "'0' is no number from 1 on"),
        (["add", "٣"], "is no number from 1 on"),
        (["remove", "1", "2"], "usage: remove [N]"),
        (["drain"], "usage: drain SLOT"),
        (["drain", "7"], "there is no worker in slot 7"),
        (["stacks", "-1"], "'-1' is no number"),
        (["reload", "no:App"], "the pool has no app no:App; it has pool_apps:Echo"),
        (["retry", "no:App"], "the pool has no app no:App; it has pool_apps:Echo"),
        (["ready", "no:App"], "the pool has no app no:App; it has pool_apps:Echo"),
    ],
)
def test_wrong_words_are_one_line(echo_pool, words, error):
    before = echo_pool.pids()
    said = echo_pool.ctl(*words)
    assert set(said) == {"ok", "error"}
    assert not said["ok"]
    assert error in said["error"]
    assert "\n" not in said["error"]
    assert echo_pool.pids() == before


def test_the_last_worker_of_an_app_stays(echo_pool):
    said = echo_pool.ctl("remove")
    assert (said["ok"], said["removed"]) == (False, [])
    assert "never removed" in said["error"]


def test_status_shows_who_waits(make_pool, client):
    pool = make_pool("Echo")
    background = Background()
    background.call("first", client.execute, ECHO, "hold_noted", "a")
    wait_for(lambda: pool.noted("holds a"), "the first call")
    background.call("second", client.execute, ECHO, "echo", 2)
    app = wait_for(
        lambda: (pool.status()["apps"][ECHO]["oldest"] > 0) and pool.status()["apps"][ECHO], "a queue"
    )
    assert (app["state"], app["ready"], app["queued"], app["slots"]) == ("ready", 1, 1, [0])
    slot = pool.slot()
    assert (slot["running"], slot["generation"], slot["next"], slot["ignored"]) == (1, 1, None, 0)
    assert slot["rss"] > 1_000_000
    pool.open("a")
    assert background.join() == {"first": "a", "second": 2}


def test_readiness(make_pool, client, tmp_path, monkeypatch):
    path, mark = "pool_apps:FailingInit", tmp_path / "fail"
    mark.touch()
    pool = make_pool(
        "FailingInit:1", "Echo:1", workers=2, boot="background", environment={"DIRTY_FAIL": str(mark)}
    )
    wait_for(lambda: pool.ctl("ready", ECHO)["ok"], "the app that loads")
    assert not pool.ctl("ready", path)["ok"]
    said = pool.ctl("ready")
    assert not said["ok"]
    assert (said["apps"][ECHO]["ready"], said["apps"][path]["ready"]) == (1, 0)
    assert client.ready(ECHO)
    assert not client.ready(path)
    assert not client.ready()
    with pytest.raises(DirtyAppNotFoundError):
        client.ready("no:App")
    wait_for(
        lambda: "cannot load" in pool.status()["slots"][pool.status()["apps"][path]["slots"][0]]["error"],
        "why",
    )
    mark.unlink()
    wait_for(lambda: pool.ctl("retry", path)["ok"] and pool.ctl("ready")["ok"], "readiness of all")
    assert client.ready()

    async def ask():
        with pytest.raises(DirtyUsageError):
            client.ready()
        with pytest.raises(DirtyAppNotFoundError):
            await client.ready_async("no:App")
        answers = await client.ready_async(), await client.ready_async(ECHO)
        await close_dirty_client_async()
        return answers

    assert asyncio.run(ask()) == (True, True)
    pool.signal(signal.SIGKILL)
    pool.wait()
    monkeypatch.setattr(_readiness, "PATIENCE", 0.3)
    assert not client.ready(ECHO)


def test_the_life_of_a_worker_in_the_log(make_pool, client):
    pool = make_pool("Echo", slow_call=0.1)
    first = pool.pids()[0]
    logs(pool, f"^{NAME % (first, 1)} starts$")
    logs(pool, rf"^{NAME % (first, 1)} is ready after \d+\.\d s$")
    client.execute(ECHO, "sleep", 0.2)
    logs(pool, rf"^{NAME % (first, 1)}: slow call: pool_apps:Echo\.sleep took \d+\.\d s$")
    assert (
        "hold" in pool.ctl("stacks", "0")["text"]
        or "most recent call first" in pool.ctl("stacks", "0")["text"]
    )
    assert pool.ctl("drain", "0") == {"ok": True, "slot": 0, "pid": first}
    logs(pool, f"^{NAME % (first, 1)} is to end: drained$")
    logs(pool, rf"^{NAME % (first, 1)} ended: drained \(exit code 0\)$")
    second = pool.settled(2)["pid"]
    assert pool.ctl("reload", ECHO) == {"ok": True, "slots": [0], "failures": {}}
    third = pool.settled(3)["pid"]
    logs(pool, f"^{NAME % (second, 2)} is to end: reload$")
    with pytest.raises(Exception, match="killed"):
        client.execute(ECHO, "die")
    logs(pool, rf"^{NAME % (third, 3)} ended: killed \(SIGKILL\)$")
    logs(pool, r"^dirty slot 0 \(pool_apps:Echo\) starts again in \d+\.\d s$")
    pool.settled(4)
    pool.stop()
    logs(pool, rf"^{NAME.replace('%d, generation %d', '[0-9]+, generation 4')} ended: stop")


def test_trace_of_a_nested_call(make_pool, client):
    """What the outer call carried goes with the inner one, unless that has its own."""
    make_pool("Echo", "Nested", workers=2)
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "baggage": "a=1"}
    traced = client.options(trace=trace)
    assert traced.execute("pool_apps:Nested", "ask_info")["trace"] == trace
    own = {"traceparent": "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    assert traced.execute("pool_apps:Nested", "ask_info", own)["trace"] == own
    assert client.execute("pool_apps:Nested", "ask_info")["trace"] == {}
