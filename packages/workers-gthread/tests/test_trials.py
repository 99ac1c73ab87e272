"""When the lead is tried: any history of leads, told to the rule with a clock of the test's own."""

from __future__ import annotations

from hostler_gthread._trials import LASTED, LATE, SOON, Trials
from hypothesis import given
from hypothesis import strategies as st


def test_at_once_in_the_beginning() -> None:
    """A worker that has just begun tries."""
    assert Trials().due(100.0)


def test_leads_that_do_not_last_are_tried_more_and_more_seldom() -> None:
    """And after one that lasted soon again."""
    trials, now, pauses = Trials(), 100.0, []
    for _ in range(8):
        trials.given(now)
        trials.returned(now)
        pause = SOON
        while not trials.due(now + pause):
            pause *= 2
        pauses.append(pause)
        now += pause
    assert pauses == sorted(pauses)
    assert pauses[-1] >= LATE
    trials.given(now)
    trials.returned(now + LASTED + 0.1)
    assert trials.due(now + LASTED + 0.1 + SOON)


@given(st.lists(st.floats(0, 10), max_size=50))
def test_whatever_happened_another_try_comes(leads: list[float]) -> None:
    """After LATE seconds at the latest, and not at once."""
    trials, now = Trials(), 0.0
    for seconds in leads:
        trials.given(now)
        now += seconds
        trials.returned(now)
        assert not trials.due(now)
    assert trials.due(now + LATE)
