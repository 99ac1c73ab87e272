"""When the lead is tried: any history of leads, told to the rule with a clock of the test's own."""

from __future__ import annotations

from hostler_gthread._trials import LASTED, LATE, SOON, WORTH, WORTH_MOST, Trials
from hypothesis import given
from hypothesis import strategies as st


def test_at_once_in_the_beginning() -> None:
    """A worker that has just begun tries."""
    assert Trials().due(100.0, 0)


def test_leads_that_do_not_last_are_tried_more_and_more_seldom() -> None:
    """And after one that lasted soon again."""
    trials, now, pauses = Trials(), 100.0, []
    for _ in range(8):
        trials.given(now)
        trials.returned(now)
        pause = SOON
        while not trials.due(now + pause, 0):
            pause *= 2
        pauses.append(pause)
        now += pause
    assert pauses == sorted(pauses)
    assert pauses[-1] >= LATE
    trials.given(now)
    trials.returned(now + LASTED + 0.1)
    assert trials.due(now + LASTED + 0.1 + SOON, 0)


def test_leaders_that_were_held_cost_ever_more_hand_overs() -> None:
    """Whatever time passes; a lead that was worth it makes the next one cheap again."""
    trials, handed, worths = Trials(), 0, []
    for turn in range(8):
        trials.given(turn * 1e6)
        trials.held(turn * 1e6, handed, 3)
        worth = WORTH
        while not trials.due((turn + 1) * 1e6, handed + worth):
            worth *= 2
        worths.append(worth)
        handed += worth
    assert worths == [min(WORTH_MOST, WORTH << number) for number in range(1, 9)]
    trials.given(9e6)
    trials.held(9e6, handed, WORTH + 1)
    assert not trials.due(1e9, handed + WORTH - 1)
    assert trials.due(1e9, handed + WORTH)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["returned", "held"]), st.floats(0, 10), st.integers(0, 5000), st.integers(0, 5000)
    )
)


@given(EVENTS)
def test_whatever_happened_another_try_comes(events: list[tuple[str, float, int, int]]) -> None:
    """After LATE seconds and WORTH_MOST requests at the latest."""
    trials, now, handed = Trials(), 0.0, 0
    for what, seconds, more, ran in events:
        trials.given(now)
        now, handed = now + seconds, handed + more
        if what == "held":
            trials.held(now, handed, ran)
        else:
            trials.returned(now)
    assert trials.due(now + LATE, handed + WORTH_MOST)
