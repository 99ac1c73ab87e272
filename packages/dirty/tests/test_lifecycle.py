"""Boot, hooks, reload, scaling, recycling, stopping."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from hostler.errors import ConfigError
from hostler_dirty import (
    DirtyError,
    DirtyNoWorkersAvailableError,
    DirtyWorkerError,
    stash,
)
from pool_harness import wait_for
from pool_helpers import Background, alive

ECHO = "pool_apps:Echo"


def test_an_init_that_fails_ends_the_boot(make_pool):
    from pool_harness import Pool

    pool = Pool(["pool_apps:HangingInit"], wait=False)
    try:
        assert not pool.ready()
        assert pool.wait() == 1
        assert "init() took longer than" in pool.logged()
    finally:
        pool.close()


def test_a_module_that_cannot_be_imported_ends_the_boot():
    from pool_harness import Pool

    pool = Pool(["no_such_module:App"], wait=False)
    try:
        assert not pool.ready()
        assert pool.wait() == 1
        assert "no_such_module:App cannot be imported" in pool.logged()
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("apps", "settings", "message"),
    [
        (["nonsense"], {}, "module:Class"),
        (["m:A:5"], {}, "dirty_workers is 1"),
        (["m:A:0"], {}, "at least 1"),
        (["m:A"], {"resource": ("gpu",)}, "dirty_resource"),
    ],
)
def test_what_is_wrong_is_told_before_any_fork(apps, settings, message):
    from hostler_dirty._service import validate
    from hostler_dirty._settings import DirtySettings

    with pytest.raises(ConfigError, match=message):
        validate(DirtySettings(apps=tuple(apps), workers=1, **settings))


@pytest.mark.load
def test_failing_loads_back_off_and_are_given_up(make_pool, client, tmp_path):
    mark = tmp_path / "fail"
    mark.touch()
    pool = make_pool(
        "FailingInit:1", "Echo:1", workers=2, boot="background", environment={"DIRTY_FAIL": str(mark)}
    )
    wait_for(lambda: pool.status()["apps"][ECHO]["ready"], "the other app")
    assert client.execute(ECHO, "echo", 1) == 1
    path = "pool_apps:FailingInit"
    index = pool.status()["apps"][path]["slots"][0]
    wait_for(lambda: pool.slot(index)["state"] == "failed", "the end of the tries", 60)
    assert len(pool.noted("try")) == 5
    with pytest.raises(DirtyNoWorkersAvailableError) as told:
        client.execute(path, "ok")
    assert told.value.state == "failed"
    assert "cannot load" in told.value.cause
    mark.unlink()
    assert pool.ctl("retry", path)["ok"]
    pool.settled(1, index)
    assert client.execute(path, "ok") == "ok"


@pytest.mark.load
def test_a_crash_in_init_backs_off(make_pool, client):
    pool = make_pool("CrashingInit:1", "Echo:1", workers=2, boot="background")
    assert client.options(no_worker_wait=60).execute(ECHO, "echo", 1) == 1
    wait_for(lambda: len(pool.noted("crash")) >= 2, "two tries")
    assert len(pool.noted("crash")) <= 5
    with pytest.raises(DirtyNoWorkersAvailableError):
        client.execute("pool_apps:CrashingInit", "x")


def test_a_slow_init_gets_no_calls(make_pool, client):
    pool = make_pool("SlowInit:1", "Echo:1", workers=2, boot="background")
    assert client.options(no_worker_wait=60).execute(ECHO, "echo", 1) == 1
    with pytest.raises(DirtyNoWorkersAvailableError) as told:
        client.execute("pool_apps:SlowInit", "ok")
    assert told.value.state == "booting"
    pool.open("init")
    assert client.options(no_worker_wait=60).execute("pool_apps:SlowInit", "ok") == "ok"


def test_limited_apps_live_where_they_should(make_pool, client):
    pool = make_pool("Limited", "Other:1", "Echo", workers=4)
    status = pool.status()
    assert len(status["apps"]["pool_apps:Limited"]["slots"]) == 2
    assert len(status["apps"]["pool_apps:Other"]["slots"]) == 1
    assert len(status["apps"][ECHO]["slots"]) == 4
    pids = {client.execute("pool_apps:Limited", "pid") for _ in range(20)}
    assert pids <= {status["slots"][i]["pid"] for i in status["apps"]["pool_apps:Limited"]["slots"]}


def test_two_apps_of_one_worker_each_run_side_by_side(make_pool, client):
    make_pool("Echo:1", "Other:1", workers=4)
    assert client.execute(ECHO, "pid") != client.execute("pool_apps:Other", "pid")


@pytest.mark.load
def test_scaling(make_pool, client):
    pool = make_pool("Limited:1", "Echo", workers=2)
    assert pool.ctl("add", "2")["added"] == [2, 3]
    pool.settled(1, 3)
    assert pool.ctl("remove", "99")["ok"] is False
    status = pool.status()
    for app in status["apps"].values():
        assert app["slots"]
    wait_for(lambda: len(pool.pids()) == len(pool.status()["slots"]), "the end of the removed workers")
    assert client.execute("pool_apps:Limited", "echo", 1) == 1
    assert client.execute(ECHO, "echo", 1) == 1


def test_reload_brings_new_code_and_loses_no_call(make_pool, client, tmp_path):
    version = tmp_path / "pool_version.py"
    version.write_text("ANSWER = 1\n")
    pool = make_pool(
        "Versioned", "Other:1", workers=2, extra_path=[tmp_path], environment={"PYTHONDONTWRITEBYTECODE": "1"}
    )
    path = "pool_apps:Versioned"
    assert client.execute(path, "ask") == 1
    stop, odd, seen = threading.Event(), [], set()

    def load():
        while not stop.is_set():
            try:
                seen.add(client.execute(path, "ask"))
            except BaseException as error:
                odd.append(error)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    version.write_text("ANSWER = 22\n")
    told = pool.ctl("reload", path)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert told["ok"]
    assert not odd
    assert client.execute(path, "ask") == 22
    wait_for(lambda: pool.noted().count("close 1") == 2, "the old apps' close")


def test_a_reload_that_fails_keeps_the_old_code(make_pool, client, tmp_path):
    version = tmp_path / "pool_version.py"
    version.write_text("ANSWER = 1\n")
    pool = make_pool("Versioned", "Echo", extra_path=[tmp_path], environment={"PYTHONDONTWRITEBYTECODE": "1"})
    pid = pool.slot()["pid"]
    version.write_text("ANSWER = \n")
    told = pool.ctl("reload")
    assert not told["ok"]
    assert "SyntaxError" in told["failures"]["0"]
    assert client.execute("pool_apps:Versioned", "ask") == 1
    assert pool.slot()["pid"] == pid
    assert pool.ctl("reload", "no:App")["ok"] is False


def test_reload_of_one_app_leaves_the_others(make_pool, client):
    pool = make_pool("Echo:1", "Other:1", workers=2)
    slots = {path: app["slots"][0] for path, app in pool.status()["apps"].items()}
    before = [slot["pid"] for slot in pool.status()["slots"]]
    assert pool.ctl("reload", ECHO)["ok"]
    after = [slot["pid"] for slot in pool.status()["slots"]]
    assert after[slots[ECHO]] != before[slots[ECHO]]
    assert after[slots["pool_apps:Other"]] == before[slots["pool_apps:Other"]]
    pool.signal(signal.SIGHUP)
    wait_for(lambda: all(s["generation"] >= 2 for s in pool.status()["slots"]), "the reload of all")


def test_recycling_by_requests(make_pool, client):
    pool = make_pool("Echo", max_requests=20)
    first = client.execute(ECHO, "pid")
    wait_for(lambda: client.execute(ECHO, "pid") != first, "another worker")
    assert "max_requests" in pool.logged()


@pytest.mark.load
def test_recycling_by_memory(make_pool, client):
    pool = make_pool("Echo", max_rss=1 << 20)
    wait_for(lambda: "max_rss" in pool.logged(), "the recycling")
    assert client.execute(ECHO, "echo", 1) == 1


def test_an_app_that_is_not_well_is_replaced(make_pool, client):
    pool = make_pool("Sick", health_interval=0.2)
    path = "pool_apps:Sick"
    pid = client.execute(path, "pid")
    client.execute(path, "fall_ill")
    wait_for(lambda: pool.slot()["generation"] == 2 and pool.slot()["state"] == "ready", "a well worker")
    assert client.execute(path, "pid") != pid


def test_stop_lets_calls_finish_and_closes_apps_once(make_pool, client):
    pool = make_pool("Echo", workers=2)
    work = Background()
    work.call("running", client.execute, ECHO, "hold", "end", "finished")
    wait_for(lambda: any(s["running"] for s in pool.status()["slots"]), "a running call")
    busy = next(i for i, slot in enumerate(pool.status()["slots"]) if slot["running"])
    pids = pool.pids()
    pool.signal(signal.SIGTERM)
    pool.open("end")
    assert pool.wait() == 0
    assert work.join() == {"running": "finished"}
    assert len(pool.noted("close")) == 2
    notes, served = pool.noted(), pids[busy]
    assert notes.index("slept finished") < notes.index(f"close {served}")
    assert not any(alive(pid) for pid in pids)


def test_an_idle_pool_stops_quickly(make_pool, client):
    pool = make_pool("Echo", workers=2, graceful_timeout=600.0)  # longer than anybody waits here
    for i in range(20):
        client.execute(ECHO, "echo", i)
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert len(pool.noted("close")) == 2


@pytest.mark.load
def test_a_call_that_outlives_the_graceful_timeout_is_ended(make_pool, client):
    pool = make_pool("Echo", graceful_timeout=0.5)
    work = Background()
    work.call("running", client.execute, ECHO, "sleep", 60)
    wait_for(lambda: pool.slot()["running"], "a running call")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert isinstance(work.join()["running"], (DirtyWorkerError, DirtyError))


def test_a_worker_told_to_end_is_replaced(make_pool, client):
    pool = make_pool("Echo")
    for i in range(5):
        client.execute(ECHO, "echo", i)
    pid = pool.slot()["pid"]
    os.kill(pid, signal.SIGTERM)
    pool.settled(2)
    assert not alive(pid)
    assert len(pool.noted("close")) == 1
    assert client.execute(ECHO, "echo", 1) == 1


def test_tokens_environment_and_declared_tables(make_pool, client):
    make_pool("WithEnvironment", workers=2, resource=("gpu=0,7",))
    path = "pool_apps:WithEnvironment"
    seen = client.execute(path, "see")
    assert seen[0] in ("0", "7")
    assert seen[1] == "set"
    assert stash.exists("declared")


def test_the_collector_leaves_alone_what_was_loaded(make_pool, client):
    make_pool("Loaded")
    assert client.execute("pool_apps:Loaded", "walked") == 0


def test_hooks(make_pool, client):
    import pool_hooks

    pool = make_pool(
        "Echo",
        on_starting=pool_hooks.on_dirty_starting,
        post_fork=pool_hooks.dirty_post_fork,
        worker_init=pool_hooks.dirty_worker_init,
        worker_exit=pool_hooks.dirty_worker_exit,
    )
    assert client.execute(ECHO, "environment", "SET_BY_HOOK") == "slot 0"
    pool.stop()
    words = [line.split()[0] for line in pool.noted()]
    assert words == ["starting", "post_fork", "init", "worker_init", "close", "exit"]
    assert pool.noted("exit") == ["exit stop"]


def test_stacks_and_drain(make_pool, client):
    pool = make_pool("Echo")
    work = Background()
    work.call("running", client.execute, ECHO, "hold", "end")
    wait_for(lambda: pool.slot()["running"], "a running call")
    wait_for(lambda: "in hold" in pool.ctl("stacks", "0")["text"], "the stack of the call")
    pool.open("end")
    work.join()
    assert pool.ctl("drain", "0")["ok"]
    pool.settled(2)
    assert pool.ctl("stacks", "9")["ok"] is False


@pytest.mark.load
def test_an_idle_pool_costs_nothing(make_pool, client):
    pool = make_pool("Echo", workers=2)
    client.execute(ECHO, "echo", 1)

    def ticks():
        total = 0
        for pid in (pool.pid, *pool.pids()):
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total

    pids = pool.pids()
    assert len(pids) == 2

    def quiet():
        before = ticks()
        time.sleep(3)
        return ticks() - before <= 6  # of 300 ticks; the bar is 0.2 % per process, a tick has 10 ms

    wait_for(quiet, "three seconds that cost nothing")


@pytest.mark.load
def test_slow_calls_are_told(make_pool, client):
    pool = make_pool("Echo", slow_call=2.0)
    client.execute(ECHO, "sleep", 2.2)
    client.execute(ECHO, "echo", 1)
    wait_for(lambda: "slow call: pool_apps:Echo.sleep took 2." in pool.logged(), "the line of the log")
    assert "Echo.echo took" not in pool.logged()
