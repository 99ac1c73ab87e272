"""What an app's class attributes ask of its workers."""

from __future__ import annotations

import asyncio
import os

import pytest
from hostler_dirty import DirtyApp, DirtyWorkerError, close_dirty_client_async
from hostler_dirty import _traits as traits
from hostler_dirty._app import describe
from hostler_dirty._settings import DirtySettings
from hostler_dirty.errors import DirtyConfigError
from pool_harness import Pool, wait_for
from pool_helpers import Background

MODEST, SHORT, GROWN = "pool_demanding:Modest", "pool_demanding:ShortLived", "pool_demanding:Grown"
KILLED, UNMOVED, ONLY = "pool_demanding:Killed", "pool_demanding:Unmoved", "pool_demanding:OnlyOne"


@pytest.fixture
def pool_of(request):
    pools = []

    def make(*apps, **settings):
        pools.append(Pool(apps, **settings))
        return pools[-1]

    yield make
    for pool in pools:
        print(pool.logged())
        pool.close()


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("workers", 0, "None or a whole number from 1"),
        ("workers", "2", "None or a whole number from 1"),
        ("workers", True, "None or a whole number from 1"),
        ("timeout", -1, "None or seconds from 0"),
        ("timeout", "5s", "None or seconds from 0"),
        ("init_timeout", None, "seconds from 0"),
        ("cancel_grace", -0.5, "seconds from 0"),
        ("max_queue", 1.5, "None or a whole number from 0"),
        ("max_queue_wait", -1, "None or seconds from 0"),
        ("no_worker_wait", None, "seconds from 0"),
        ("max_requests", -1, "None or a whole number from 0"),
        ("max_requests_jitter", "1", "None or a whole number from 0"),
        ("max_rss", "1GiB", "None or octets from 0"),
        ("resources", ["gpu"], "a dictionary of names and whole numbers"),
        ("resources", {"gpu": -1}, "a dictionary of names and whole numbers"),
        ("dedicated", 1, "True or False"),
        ("memory", 0, "a number above 0"),
        ("codec", "", "None or the name of a codec"),
        ("env", {"A": 1}, "a dictionary of texts"),
        ("nice", 20, "from -20 to 19"),
        ("cpu_affinity", [], "a list of CPUs that this machine has"),
        ("cpu_affinity", [100_000], "a list of CPUs that this machine has"),
        ("cpu_affinity", 0, "a list of CPUs that this machine has"),
        ("stashes", "table", "a list of names"),
        ("reload", "never", "'start-first' or 'stop-first'"),
        ("kill_on_cancel", "yes", "True or False"),
    ],
)
def test_wrong_values_are_told_in_one_line(name, value, wanted):
    with pytest.raises(DirtyConfigError) as told:
        traits.check("m:A", describe(type("A", (DirtyApp,), {name: value})))
    assert f"m:A.{name} is {value!r}; it must be" in told.value.message
    assert wanted in told.value.message
    assert "\n" not in told.value.message


def test_the_defaults_are_right_and_an_action_may_have_the_name_of_an_attribute():
    traits.check("m:A", describe(DirtyApp))
    traits.check("m:A", describe(type("A", (), {"reload": lambda self: 1, "memory": lambda self: 1})))


def test_a_wrong_attribute_ends_the_boot(tmp_path):
    (tmp_path / "wrong_app.py").write_text("class App:\n    nice = 'very'\n", encoding="utf-8")
    pool = Pool(["wrong_app:App"], extra_path=[tmp_path], wait=False)
    try:
        assert not pool.ready()
        assert pool.wait() == 1
        assert "wrong_app:App.nice is 'very'; it must be a whole number from -20 to 19" in pool.logged()
        assert "starts" not in pool.logged()
    finally:
        pool.close()


def test_apps_that_share_a_worker_share_what_they_ask_for():
    apps = ("m:A", "m:B", "m:C")
    infos = {
        "m:A": {
            "nice": 2,
            "cpu_affinity": [1, 0],
            "env": {"X": "a", "Y": "a"},
            "max_requests": 10,
            "max_rss": 0,
        },
        "m:B": {"nice": 5, "cpu_affinity": [1, 2], "env": {"X": "b"}, "max_requests": 0, "max_rss": 7},
        "m:C": {"reload": "stop-first"},
    }
    settings = DirtySettings(max_requests=100, max_rss=9)
    assert traits.nice(apps, infos) == 5
    assert traits.affinity(apps, infos) == [0, 1, 2]
    assert traits.environment(apps, infos) == {"X": "b", "Y": "a"}
    assert traits.served_limit(apps, infos, settings) == 10
    assert traits.served_limit(("m:B", "m:C"), infos, settings) == 100
    assert traits.served_limit(("m:B",), infos, settings) == 0
    assert traits.rss_limit(apps, infos, settings) == 7
    assert traits.rss_limit(("m:A",), infos, settings) == 0
    assert traits.stops_first(apps, infos)
    assert not traits.stops_first(("m:A", "m:B"), infos)
    drawn = {
        traits.served_limit(("m:A",), {"m:A": {"max_requests": 5, "max_requests_jitter": 2}}, settings)
        for _ in range(200)
    }
    assert drawn == {5, 6, 7}


def test_nice_and_affinity_are_there_before_init(pool_of, client):
    pool_of(MODEST)
    assert client.execute(MODEST, "see") == [os.nice(0) + 3, [min(os.sched_getaffinity(0))], None]


def test_what_a_hook_says_is_there_before_init_too(pool_of, client):
    pool_of(MODEST, post_fork="pool_faults:place_worker")
    assert client.execute(MODEST, "see") == [os.nice(0) + 4, sorted(os.sched_getaffinity(0)), "yes"]


def test_what_the_system_refuses_is_told(pool_of, client, tmp_path):
    (tmp_path / "wild_app.py").write_text(
        "from pool_apps import Echo\n"
        "def post_fork(arbiter, worker):\n    worker.affinity = [99_999]\n"
        "class App(Echo):\n    pass\n",
        encoding="utf-8",
    )
    pool = pool_of("wild_app:App", extra_path=[tmp_path], post_fork="wild_app:post_fork")
    assert client.execute("wild_app:App", "echo", 1) == 1
    assert "the CPUs that were asked for are not to be had" in pool.logged()


def test_an_app_of_its_own_number_of_calls(pool_of, client):
    pool = pool_of(SHORT)
    for i in range(6):
        assert client.options(no_worker_wait=60).execute(SHORT, "echo", i) == i
    pool.settled(2)
    assert client.options(no_worker_wait=60).execute(SHORT, "echo", 9) == 9


def test_an_app_of_its_own_size(pool_of, client):
    pool = pool_of(GROWN)
    first = client.execute(GROWN, "grow", 1)
    client.execute(GROWN, "grow", 160 << 20)
    pool.settled(2)
    patient = client.options(no_worker_wait=60)
    wait_for(lambda: patient.execute(GROWN, "pid") != first, "the next worker")


@pytest.mark.load
def test_a_cancelled_call_may_go_on_or_is_killed(pool_of, client):
    pool = pool_of(f"{UNMOVED}:1", f"{KILLED}:1", workers=2)
    pids = {app: client.execute(app, "pid") for app in (UNMOVED, KILLED)}

    async def start_and_leave(app):
        name = app.partition(":")[2]
        task = asyncio.create_task(client.execute_async(app, "stay", name))
        while f"stays {name}" not in pool.noted("stays"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def main():
        await asyncio.gather(*(start_and_leave(app) for app in (UNMOVED, KILLED)))
        await close_dirty_client_async()

    asyncio.run(main())
    patient = client.options(no_worker_wait=60)
    wait_for(lambda: "does not heed" in pool.logged(), "the abort")
    assert patient.execute(KILLED, "pid") != pids[KILLED]
    pool.open("Unmoved")
    assert patient.execute(UNMOVED, "pid") == pids[UNMOVED]


@pytest.mark.load
def test_stop_first(pool_of, client):
    pool = pool_of(ONLY, workers=2)
    before = pool.pids()
    work = Background()
    for i in range(20):
        work.call(i, client.execute, ONLY, "echo", i)
    assert pool.ctl("reload")["ok"]
    assert work.join() == {i: i for i in range(20)}
    assert not set(before) & set(pool.pids())
    lives = [note.split() for note in pool.noted() if note.startswith(("open", "shut"))][2:]
    assert [what for what, _ in lives] == ["shut", "open", "shut", "open"]
    assert {pid for what, pid in lives if what == "shut"} == {str(pid) for pid in before}


@pytest.mark.load
def test_stop_first_with_broken_code_stops_at_the_first_worker(pool_of, client):
    pool = pool_of(ONLY, workers=2)
    before = pool.pids()
    pool.open("broken")
    told = pool.ctl("reload")
    assert not told["ok"]
    assert "broken code" in str(told["failures"])
    assert client.execute(ONLY, "pid") == before[1]
    again = pool.ctl("reload", ONLY)
    assert not again["ok"]
    assert client.execute(ONLY, "pid") == before[1]
    os.unlink(f"{pool.notes}.broken")
    assert pool.ctl("reload")["ok"]  # the first slot is ready before the second one stops
    assert len(pool.pids()) == 2
    assert not set(before) & set(pool.pids())


def test_a_stop_first_worker_that_dies_in_a_reload(pool_of, client):
    pool = pool_of(ONLY)
    first = client.execute(ONLY, "pid")
    with pytest.raises(DirtyWorkerError):
        client.execute(ONLY, "die")
    assert pool.ctl("reload")["ok"]
    assert client.execute(ONLY, "pid") != first
