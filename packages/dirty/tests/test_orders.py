"""What the arbiter is told by signals, and the hooks: their order, what they see, and that raising ones harm nobody."""

from __future__ import annotations

import signal

import pytest
from hostler_dirty import DirtyWorkerError
from pool_harness import Pool, wait_for
from pool_helpers import Background, alive

ECHO = "pool_apps:Echo"


def slots(pool):
    return pool.status()["slots"]


def test_ttin_and_ttou(make_pool, client):
    pool = make_pool("Limited:1", "Echo", workers=2)
    for count in (3, 4, 5):
        pool.signal(signal.SIGTTIN)
        wait_for(lambda count=count: len(slots(pool)) == count, "another slot")
    for index in range(5):
        pool.settled(1, index)
    for count in (4, 3, 2, 1, 1):
        pool.signal(signal.SIGTTOU)
        wait_for(lambda count=count: len(slots(pool)) == count, "one slot less")
    wait_for(lambda: "the number of dirty slots stays 1" in pool.logged(), "a line of the log")
    for app in pool.status()["apps"].values():
        assert app["slots"]
    assert client.execute("pool_apps:Limited", "echo", 1) == 1
    assert client.execute(ECHO, "echo", 1) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_wait_for_no_call(make_pool, client, number):
    pool = make_pool("Echo", graceful_timeout=600.0)
    pids, work = pool.pids(), Background()
    work.call("running", client.execute, ECHO, "sleep", 600)
    wait_for(lambda: pool.slot()["running"], "a running call")
    pool.signal(number)
    assert pool.wait() == 0
    assert isinstance(work.join()["running"], DirtyWorkerError)
    assert not any(map(alive, pids))


class TestHooks:
    """Each of them raises."""

    @staticmethod
    def settings(*names):
        import pool_raising

        return {name: getattr(pool_raising, name) for name in names}

    def test_those_of_the_arbiter_are_logged(self, make_pool, client):
        pool = make_pool("Echo", **self.settings("on_starting", "post_fork", "worker_exit"))
        assert client.execute(ECHO, "echo", 1) == 1
        pool.stop()
        for name in ("on_dirty_starting", "dirty_post_fork", "dirty_worker_exit"):
            assert f"the hook {name} failed" in pool.logged()
        assert len(pool.noted("close")) == 1

    def test_that_of_the_worker_fails_its_boot(self):
        pool = Pool(["pool_apps:Echo"], wait=False, **self.settings("worker_init"))
        try:
            assert not pool.ready()
            assert pool.wait() == 1
            assert "dirty_worker_init: RuntimeError: the hook's own" in pool.logged()
        finally:
            pool.close()


def test_a_load_that_ends_its_process(make_pool, client):
    pool = make_pool("ExitingInit:1", "Echo:1", workers=2, boot="background")
    assert client.options(no_worker_wait=60).execute(ECHO, "echo", 1) == 1
    wait_for(lambda: len(pool.noted("exits")) >= 2, "two tries")
    assert len(pool.noted("exits")) <= 5
    assert client.execute(ECHO, "echo", 2) == 2
