"""Which slot hosts which apps."""

from __future__ import annotations

import pytest
from hostler_dirty._placement import Need, parse, parse_all, place
from hostler_dirty._probe import deal, resources
from hostler_dirty.errors import DirtyConfigError
from hypothesis import given, settings
from hypothesis import strategies as st


def test_the_example_of_the_feature():
    placement = place([Need("m:Heavy", 2), Need("m:Light")], 8)
    assert len(placement.hosts("m:Heavy")) == 2
    assert len(placement.hosts("m:Light")) == 8


def test_limited_apps_are_spread():
    placement = place([Need("m:A", 1), Need("m:B", 1)], 4)
    assert placement.hosts("m:A") != placement.hosts("m:B")
    assert [apps for apps in placement.table.values() if not apps] == [(), ()]


def test_a_dedicated_app_is_alone():
    placement = place([Need("m:A", 2, dedicated=True), Need("m:B")], 3)
    assert all(placement.table[slot] == ("m:A",) for slot in placement.hosts("m:A"))
    with pytest.raises(DirtyConfigError, match="Dedicated"):
        place([Need("m:A", 2, dedicated=True), Need("m:B")], 2)


@pytest.mark.parametrize(
    "text", ["", "m", "m:", ":A", "m:A:", "m:A:0", "m:A:-1", "m:A:x", "m:A:2:3", "m a:A"]
)
def test_bad_specs(text):
    with pytest.raises(DirtyConfigError, match="dirty_apps"):
        parse(text)


def test_specs():
    assert parse("pkg.mod:Cls.Inner:3").workers == 3
    assert parse("pkg.mod:Cls").workers is None
    with pytest.raises(DirtyConfigError, match="twice"):
        parse_all(["m:A", "m:A:1"], 2)
    with pytest.raises(DirtyConfigError, match="wants 3 workers, but dirty_workers is 2"):
        parse_all(["m:A:3"], 2)


needs = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(1, 6)), st.booleans(), st.floats(0.1, 10)),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=150)
@given(needs, st.integers(1, 8))
def test_every_app_gets_what_it_wants_or_the_error_says_why(drawn, slots):
    wanted = [Need(f"m:A{i}", w, dedicated=d, memory=m) for i, (w, d, m) in enumerate(drawn)]
    try:
        placement = place(wanted, slots)
    except DirtyConfigError as error:
        assert "dirty_workers" in str(error)  # noqa: PT017
        return
    for need in wanted:
        hosts = placement.hosts(need.path)
        assert hosts
        if need.workers is not None:
            assert len(hosts) == need.workers
        for slot in hosts:
            if need.dedicated:
                assert placement.table[slot] == (need.path,)


@settings(deadline=None, max_examples=100)
@given(needs, st.integers(1, 8), st.lists(st.booleans(), max_size=20))
def test_scaling_never_takes_the_last_host(drawn, slots, steps):
    wanted = [Need(f"m:A{i}", w, memory=m) for i, (w, _, m) in enumerate(drawn)]
    try:
        placement = place(wanted, slots)
    except DirtyConfigError:
        return
    for up in steps:
        if up:
            placement.add(wanted)
        else:
            slot = placement.removable()
            if slot is not None:
                del placement.table[slot]
        assert all(placement.hosts(need.path) for need in wanted)


def test_tokens():
    tokens = resources(["gpu=0,1", "fpga=a*2"])
    assert tokens == {"gpu": ["0", "1"], "fpga": ["a", "a"]}
    wanted = [Need("m:A", 2, resources={"gpu": 1})]
    env = deal(wanted, place(wanted, 2), tokens)
    assert {env[0]["CUDA_VISIBLE_DEVICES"], env[1]["CUDA_VISIBLE_DEVICES"]} == {"0", "1"}
    with pytest.raises(DirtyConfigError, match="too few"):
        deal([Need("m:A", 3, resources={"gpu": 1})], place([Need("m:A", 3)], 3), tokens)
    for bad in ("gpu", "=0", "gpu=", "gpu=0*x"):
        with pytest.raises(DirtyConfigError, match="dirty_resource"):
            resources([bad])
