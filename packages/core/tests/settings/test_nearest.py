"""The nearest known name: slips are found, names of a user's own are left alone."""

from __future__ import annotations

import pytest
from hostler._nearest import distance, nearest
from hostler.settings import Settings, declarations
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = tuple(declarations(Settings))
words = st.text(alphabet="abc_", max_size=8)


@pytest.mark.parametrize(
    ("one", "other", "slips"),
    [
        ("", "", 0),
        ("a", "", 1),
        ("workers", "wrokers", 1),
        ("workers", "worker", 1),
        ("abc", "axc", 1),
        ("ab", "cd", 2),
    ],
)
def test_distance(one: str, other: str, slips: int) -> None:
    assert distance(one, other) == slips


@settings(deadline=None, max_examples=100)
@given(words, words)
def test_distance_is_a_measure(one: str, other: str) -> None:
    slips = distance(one, other)
    assert slips == distance(other, one)
    assert (slips == 0) == (one == other)
    assert abs(len(one) - len(other)) <= slips <= max(len(one), len(other))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(NAMES), st.data())
def test_a_slip_is_found(name: str, data: st.DataObject) -> None:
    """A letter left out of a long enough name leads back to a name that is as near."""
    place = data.draw(st.integers(0, len(name) - 1))
    typed = name[:place] + name[place + 1 :]
    if typed not in NAMES and len(typed) > 4:
        assert distance(typed, nearest(typed, NAMES)) == 1


@pytest.mark.parametrize(
    "own", ["host", "port", "cores", "timeout_str", "app_name", "name", "env", "log_dir"]
)
def test_names_of_a_users_own(own: str) -> None:
    assert nearest(own, NAMES) == ""
