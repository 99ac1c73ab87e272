"""Leases and queues, with the time as an argument."""

from __future__ import annotations

import itertools

import pytest
from hostler_dirty._scheduler import Grant, Recall, Reject, Rules, Scheduler, Ticket
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

keys = itertools.count()


def ticket(app="a", **more):
    return Ticket(next(keys), app, owner=more.pop("owner", "me"), **more)


@pytest.fixture
def scheduler():
    made = Scheduler()
    made.rules = {"a": Rules(max_queue=3), "b": Rules(max_queue=3)}
    return made


def grants(verdicts):
    return [v for v in verdicts if isinstance(v, Grant)]


def test_a_free_worker_is_granted_and_kept(scheduler):
    scheduler.add(1, ["a"], 1, 0.0)
    (grant,) = scheduler.ask(ticket(), 0.0)
    assert grant.lease.keep
    assert scheduler.ask(ticket(), 0.0) == [Recall(1, grant.lease.id)]
    assert scheduler.ask(ticket(), 0.0) == []  # recalled already
    (second,) = scheduler.yielded(grant.lease.id, 1.0)
    assert not second.lease.keep  # somebody waits
    (third,) = scheduler.yielded(second.lease.id, 2.0)
    assert third.lease.keep


def test_late_binding(scheduler):
    scheduler.add(1, ["a"], 1, 0.0)
    scheduler.add(2, ["a"], 1, 0.0)
    (first,) = scheduler.ask(ticket(), 0.0)
    (second,) = scheduler.ask(ticket(), 0.0)
    assert {first.lease.worker, second.lease.worker} == {1, 2}
    waiting = ticket()
    scheduler.ask(waiting, 0.0)
    (third,) = scheduler.yielded(second.lease.id, 1.0)
    assert third.ticket is waiting
    assert third.lease.worker == second.lease.worker


def test_no_worker(scheduler):
    (refused,) = scheduler.ask(ticket(), 0.0)
    assert refused.reason == "no_worker"
    assert scheduler.ask(ticket(patience=2.0), 0.0) == []
    assert scheduler.ask(ticket(patient=True, deadline=9.0), 0.0) == []
    assert scheduler.next_time() == 2.0
    (late,) = scheduler.tick(2.0)
    assert (late.reason, isinstance(late, Reject)) == ("no_worker", True)
    assert len(grants(scheduler.add(1, ["a"], 1, 3.0))) == 1


def test_deadlines_and_bounds(scheduler):
    scheduler.add(1, ["a"], 1, 0.0)
    scheduler.ask(ticket(), 0.0)
    assert scheduler.ask(ticket(deadline=1.0), 1.0)[0].reason == "deadline"
    scheduler.ask(ticket(deadline=5.0), 0.0)
    scheduler.ask(ticket(longest_wait=2.0), 0.0)
    scheduler.ask(ticket(), 0.0)
    (full,) = scheduler.ask(ticket(), 0.0)
    assert full.reason == "full"
    assert full.retry_after > 0
    assert [v.reason for v in scheduler.tick(2.0)] == ["wait"]
    assert [v.reason for v in scheduler.tick(5.0)] == ["deadline"]
    assert scheduler.length("a") == 1


def test_priorities_and_ageing(scheduler):
    scheduler.rules["a"] = Rules(max_queue=100)
    scheduler.add(1, ["a"], 1, 0.0)
    (running,) = scheduler.ask(ticket(), 0.0)
    low, high = ticket(priority=7), ticket(priority=0)
    scheduler.ask(low, 0.0)
    scheduler.ask(high, 1.0)
    (next_,) = grants(scheduler.yielded(running.lease.id, 1.0))
    assert next_.ticket is high
    for at in range(2, 20):
        scheduler.ask(ticket(priority=0), float(at))
    served = []
    for at in range(2, 20):
        (next_,) = grants(scheduler.yielded(next_.lease.id, float(at)))
        served.append(next_.ticket)
    assert low in served  # it has aged past those that came 14 s later


def test_two_apps_share_a_worker_by_time(scheduler):
    scheduler.rules = {"a": Rules(max_queue=1000), "b": Rules(max_queue=1000)}
    scheduler.add(1, ["a", "b"], 1, 0.0)
    (now,) = scheduler.ask(ticket("a"), 0.0)
    for _ in range(60):
        scheduler.ask(ticket("a"), 0.0)
        scheduler.ask(ticket("b"), 0.0)
    served = {"a": 0, "b": 0}
    for _ in range(80):
        took = 0.3 if now.lease.app == "a" else 0.1
        (now,) = grants(scheduler.yielded(now.lease.id, 1.0, took))
        served[now.lease.app] += 1
    assert served["b"] > 2 * served["a"] * 0.8


def test_batches(scheduler):
    scheduler.rules["a"] = Rules(100, batches={"embed": (3, 0.5)})
    scheduler.add(1, ["a"], 1, 0.0)
    assert scheduler.ask(ticket(action="embed"), 0.0) == []
    assert scheduler.next_time() == 0.5
    assert scheduler.ask(ticket(action="embed"), 0.1) == []
    full = grants(scheduler.ask(ticket(action="embed"), 0.2))
    assert len(full) == 3
    assert len({g.lease.group.id for g in full}) == 1
    assert scheduler.ask(ticket(action="embed"), 0.3) == []
    assert scheduler.tick(0.8) == []  # the worker is busy with the first batch
    for grant in full[:2]:
        assert scheduler.yielded(grant.lease.id, 1.0) == []
    (late,) = grants(scheduler.yielded(full[2].lease.id, 1.0))
    assert late.lease.group.size == 1


def test_affinity(scheduler):
    scheduler.rules["a"] = Rules(100)
    for worker in range(4):
        scheduler.add(worker, ["a"], 1, 0.0, worker)
    chosen = set()
    for _ in range(5):
        (grant,) = scheduler.ask(ticket(affinity="session-1"), 0.0)
        chosen.add(grant.lease.worker)
        scheduler.yielded(grant.lease.id, 0.0)
    assert len(chosen) == 1


def test_draining_and_death(scheduler):
    scheduler.add(1, ["a"], 1, 0.0)
    (grant,) = scheduler.ask(ticket(), 0.0)
    assert scheduler.drain(1) == [Recall(1, grant.lease.id)]
    assert scheduler.ask(ticket(), 0.0)[0].reason == "no_worker"
    assert [lease.id for lease in scheduler.remove(1)] == [grant.lease.id]
    assert scheduler.yielded(grant.lease.id, 0.0) == []
    assert scheduler.recall(grant.lease.id) == []


def test_closing(scheduler):
    scheduler.add(1, ["a"], 1, 0.0)
    scheduler.ask(ticket(), 0.0)
    scheduler.ask(ticket(), 0.0)
    assert [v.reason for v in scheduler.close()] == ["stopping"]
    assert scheduler.ask(ticket(), 0.0)[0].reason == "stopping"


def test_a_quick_worker_has_room_for_more(scheduler):
    scheduler.room = lambda worker: 2
    scheduler.add(1, ["a"], 1, 0.0)
    leases = [grants(scheduler.ask(ticket(), 0.0))[0].lease for _ in range(3)]
    assert all(lease.keep for lease in leases)
    waiting = scheduler.ask(ticket(), 0.0)
    assert waiting == [Recall(1, lease.id) for lease in leases]


def test_who_stands_behind_another_call_queues_again(scheduler):
    scheduler.room = lambda worker: 1
    scheduler.add(1, ["a"], 1, 0.0)
    first = grants(scheduler.ask(ticket(), 0.0))[0].lease
    assert scheduler.blocked(first.id, "me") == []  # nobody is in front of it
    second = grants(scheduler.ask(ticket(), 0.0))[0].lease
    assert scheduler.blocked(second.id, "another") == []
    assert scheduler.blocked(second.id, "me") == [Recall(1, second.id)]
    scheduler.room = lambda worker: 0
    assert scheduler.yielded(second.id, 0.0) == []
    assert grants(scheduler.ask(ticket(), 0.0)) == []


def test_a_slot_of_its_own(scheduler):
    scheduler.room = lambda worker: 9
    scheduler.add(1, ["a"], 1, 0.0)
    lease = grants(scheduler.ask(ticket(), 0.0))[0].lease
    assert scheduler.ask(ticket(alone=True), 0.0) == [Recall(1, lease.id)]


def test_those_who_share_a_slot_spread_when_a_worker_comes(scheduler):
    scheduler.room = lambda worker: 3
    scheduler.add(1, ["a"], 1, 0.0)
    leases = [grants(scheduler.ask(ticket(), 0.0))[0].lease for _ in range(3)]
    assert scheduler.add(2, ["a"], 1, 0.0) == [Recall(1, lease.id) for lease in leases]
    assert scheduler.add(3, ["b"], 1, 0.0) == []


def test_a_full_batch_that_waits_for_a_worker_needs_no_time(scheduler):
    scheduler.rules["a"] = Rules(100, batches={"embed": (2, 0.5)})
    scheduler.add(1, ["a"], 1, 0.0)
    (running,) = scheduler.ask(ticket(), 0.0)
    waiting = [ticket(action="embed") for _ in range(2)]
    for each in waiting:
        scheduler.ask(each, 0.0)
    assert scheduler.next_time() is None  # or the arbiter would look all the time
    scheduler.cancel(waiting[0].key)
    late = ticket(action="embed", deadline=9.0)
    assert [v.lease.group.size for v in grants(scheduler.yielded(running.lease.id, 1.0))] == [1]
    scheduler.ask(late, 1.0)
    assert scheduler.next_time() == 1.5


def test_who_was_let_in_once_is_not_turned_away(scheduler):
    scheduler.add(1, ["a"], 1, 0.0)
    for _ in range(4):
        assert not [v for v in scheduler.ask(ticket(), 0.0) if isinstance(v, Reject)]
    assert scheduler.ask(ticket(), 0.0)[0].reason == "full"
    assert scheduler.ask(ticket(patient=True), 0.0) == []


def test_leases_of_an_idle_worker_that_nobody_uses(scheduler):
    scheduler.add(1, ["a"], 1, 0.0)
    (first,) = scheduler.ask(ticket(), 0.0)
    assert scheduler.overdue(9.0, lambda worker: True) == []  # nobody waits
    scheduler.ask(ticket(), 9.0)
    assert scheduler.overdue(9.0, lambda worker: False) == []  # it works
    assert scheduler.overdue(9.0, lambda worker: True) == [Recall(1, first.lease.id)]
    assert scheduler.overdue(9.5, lambda worker: True) == []
    assert scheduler.overdue(11.0, lambda worker: True) == [Recall(1, first.lease.id)]


class Machine(RuleBasedStateMachine):
    """Any order of events: no slot is used twice, no ticket is answered twice or forgotten."""

    def __init__(self):
        super().__init__()
        self.scheduler = Scheduler()
        self.scheduler.rules = {
            "a": Rules(5, patience=3.0),
            "b": Rules(5, batches={"x": (3, 0.5)}),
        }
        self.now = 0.0
        self.scheduler.room = lambda worker: int(self.now) % 3
        self.asked: dict = {}
        self.answered: dict = {}
        self.workers: dict = {}
        self.count = itertools.count(1)

    def take(self, verdicts):
        for verdict in verdicts:
            if isinstance(verdict, (Grant, Reject)):
                assert verdict.ticket.key not in self.answered
                self.answered[verdict.ticket.key] = verdict
            if isinstance(verdict, Grant):
                most = self.workers[verdict.lease.worker] + 2
                assert most >= self.scheduler.hosts[verdict.lease.worker].used

    @rule(
        app=st.sampled_from("ab"),
        action=st.sampled_from(["x", ""]),
        priority=st.integers(0, 7),
        limit=st.integers(0, 5),
    )
    def ask(self, app, action, priority, limit):
        key = next(self.count)
        deadline = self.now + limit if limit else 0.0
        made = Ticket(key, app, action, "me", priority, deadline, patient=limit == 5)
        self.asked[key] = made
        self.take(self.scheduler.ask(made, self.now))

    @rule(apps=st.sampled_from(["a", "b", "ab"]), capacity=st.integers(1, 3))
    def add(self, apps, capacity):
        worker = next(self.count)
        self.workers[worker] = capacity
        self.take(self.scheduler.add(worker, apps, capacity, self.now))

    @precondition(lambda self: self.scheduler.hosts)
    @rule(data=st.data(), drain=st.booleans())
    def lose(self, data, drain):
        worker = data.draw(st.sampled_from(sorted(self.scheduler.hosts)))
        if drain:
            self.take(self.scheduler.drain(worker))
        else:
            self.scheduler.remove(worker)

    @precondition(lambda self: self.scheduler.leases)
    @rule(data=st.data(), seconds=st.floats(0, 2))
    def give_back(self, data, seconds):
        lease = data.draw(st.sampled_from(sorted(self.scheduler.leases)))
        self.take(self.scheduler.yielded(lease, self.now, seconds))

    @precondition(lambda self: self.scheduler.leases)
    @rule(data=st.data())
    def stand_behind(self, data):
        lease = data.draw(st.sampled_from(sorted(self.scheduler.leases)))
        self.take(self.scheduler.blocked(lease, "me"))

    @rule()
    def look_for_lost_leases(self):
        waits = self.scheduler.length("a") + self.scheduler.length("b")
        recalls = self.scheduler.overdue(self.now, lambda worker: worker % 2 == 0)
        assert waits or not recalls
        assert all(recall.lease in self.scheduler.leases for recall in recalls)

    @precondition(lambda self: set(self.asked) - set(self.answered))
    @rule(data=st.data())
    def cancel(self, data):
        key = data.draw(st.sampled_from(sorted(set(self.asked) - set(self.answered))))
        assert self.scheduler.cancel(key)
        self.answered[key] = "cancelled"

    @rule(seconds=st.floats(0.01, 3))
    def pass_time(self, seconds):
        self.now += seconds
        self.take(self.scheduler.tick(self.now))

    @invariant()
    def sums_agree(self):
        waiting = set(self.asked) - set(self.answered)
        assert self.scheduler.length("a") + self.scheduler.length("b") == len(waiting)
        for host in self.scheduler.hosts.values():
            groups = {lease.group.id if lease.group else -lease.id for lease in host.leases.values()}
            assert host.used == len(groups) <= host.capacity + 2
        assert set(self.scheduler.leases) == {i for h in self.scheduler.hosts.values() for i in h.leases}

    @invariant()
    def nobody_waits_beside_a_free_worker(self):
        for host in self.scheduler.hosts.values():
            if not host.draining and host.used < host.capacity and "a" in host.apps:
                assert not self.scheduler.length("a")

    @invariant()
    def time_is_asked_for_only_when_it_helps(self):
        when = self.scheduler.next_time()
        if when is not None and when <= self.now:
            before = len(self.answered)
            self.take(self.scheduler.tick(self.now))
            after = self.scheduler.next_time()
            assert len(self.answered) > before or after is None or after > when or after > self.now


TestMachine = Machine.TestCase
TestMachine.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
