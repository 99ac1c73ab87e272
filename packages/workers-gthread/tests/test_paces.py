"""Which requests run in the loop: any history of an application, told to the rule."""

from __future__ import annotations

from hostler_gthread._paces import MANY, PATHS, QUICK, WORTH, WORTH_MOST, Pace, Paces
from hypothesis import given
from hypothesis import strategies as st


def hand_over(pace: Pace) -> int:
    """How many are, until one may run in the loop."""
    count = 0
    while pace.rest:
        pace.rest -= 1
        count += 1
    return count


def test_slow_path_beside_a_quick_one() -> None:
    """Whatever their queries are."""
    paces = Paces()
    paces.of(b"/quick?a=1").took(QUICK / 10)
    paces.of(b"/slow?a=1").held()
    assert not paces.of(b"/quick").rest
    assert paces.of(b"/slow?b=2").rest == paces.of(b"/slow").rest == WORTH


def test_path_that_stays_slow_is_tried_more_and_more_seldom() -> None:
    """Up to a limit, and anew after it was quick for long."""
    pace = Paces().of(b"/")
    counts = []
    for _ in range(12):
        pace.held()
        counts.append(hand_over(pace))
    assert counts == [min(WORTH_MOST, WORTH << number) for number in range(12)]
    for _ in range(MANY + 1):
        pace.took(QUICK / 10)
    pace.held()
    assert hand_over(pace) == WORTH


def test_one_slow_request_among_quick_ones_is_forgiven() -> None:
    """A path is slow when several are."""
    pace = Paces().of(b"/")
    for seconds in (QUICK / 10, 1.0, QUICK / 10):
        pace.took(seconds)
    assert not pace.rest
    for _ in range(8):
        pace.took(QUICK * 2)
    assert pace.rest


def test_new_paths_are_judged_by_those_before() -> None:
    """Where each is another one, as with numbers in them."""
    paces = Paces()
    number = 0
    while not (pace := paces.of(b"/%d" % number)).rest:
        pace.held()
        number += 1
        assert number < 10
    assert paces.of(b"/another").rest == paces.of(b"/one more").rest > 0
    hand_over(paces.of(b"/another"))
    for number in range(100, 200):
        paces.of(b"/%d" % number).took(QUICK / 10)
    assert not paces.of(b"/another").rest


TARGETS = st.lists(st.tuples(st.binary(max_size=3), st.sampled_from(["quick", "slow", "held"])), max_size=300)


@given(TARGETS, st.integers(0, 3))
def test_whatever_happened_little_is_kept_and_every_path_is_tried_again(
    history: list[tuple[bytes, str]], copies: int
) -> None:
    """After WORTH_MOST requests at the latest."""
    paces = Paces()
    for copy in range(copies + 1):
        for target, what in history:
            pace = paces.of(target + b"%d" % copy)
            if pace.rest:
                pace.rest -= 1
            elif what == "held":
                pace.held()
            else:
                pace.took(QUICK / 10 if what == "quick" else QUICK * 10)
    assert len(paces.known) <= PATHS
    assert all(hand_over(paces.of(target)) <= WORTH_MOST for target, _ in history)


def test_known_paths_are_bounded() -> None:
    """A visitor that asks for ever new paths fills nothing."""
    paces = Paces()
    for number in range(3 * PATHS):
        paces.of(b"/%d" % number).took(QUICK / 10)
    assert len(paces.known) <= PATHS
