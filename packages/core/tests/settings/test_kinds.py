"""Kinds: what text and values become, and what is refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostler import _fields, _kinds
from hostler.settings import Invalid, Settings, declarations
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = [(name, one.kind) for name, one in declarations(Settings).items()]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (_fields.integer(), "0x10", 16),
        (_fields.integer(), "022", 18),
        (_fields.integer(), "0o22", 18),
        (_fields.integer(), "1_000", 1000),
        (_fields.integer(), " 7 ", 7),
        (_fields.mode, "0660", 0o660),
        (_fields.seconds(), "500ms", 0.5),
        (_fields.seconds(), "2m", 120.0),
        (_fields.seconds(), 3, 3.0),
        (_fields.size(), "64k", 65536),
        (_fields.size(), "1GiB", 1 << 30),
        (_fields.boolean, "off", False),
        (_fields.boolean, "Yes", True),
        (_fields.words, "a, b,,c", ("a", "b", "c")),
        (_fields.texts, "a,b", ("a,b",)),
        (_fields.texts, "", ()),
        (_fields.choice("drop", "refuse"), "DROP", "drop"),
        (_fields.user, "0", 0),
        (_fields.user, "root", 0),
        (_fields.group, 0, 0),
        (_fields.text, Path("/run/x"), "/run/x"),
        (_kinds.log_level, "WARN", "warning"),
        (_kinds.field_count, 0, 32768),
        (_kinds.networks, "10.0.0.0/8, ::1, unix, *", ("10.0.0.0/8", "::1", "unix", "*")),
        (_kinds.proxy_mode, True, "auto"),
        (_kinds.proxy_mode, False, "off"),
        (_kinds.certificate_demand, "required", 2),
        (_kinds.assignments, ["A=1", "B=x=y"], ("A=1", "B=x=y")),
        (_kinds.headers, {"x-a": "b"}, {"X-A": "b"}),
        (_kinds.tables, [{"bind": ":1"}], ({"bind": ":1"},)),
    ],
)
def test_values(kind: _fields.Kind, value: Any, expected: Any) -> None:
    assert kind.convert(value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (_fields.integer(), "four", "whole number"),
        (_fields.integer(), True, "whole number"),
        (_fields.integer(), 1.5, "whole number"),
        (_fields.integer(1), 0, "at least 1"),
        (_fields.integer(0, 5), 6, "at most 5"),
        (_fields.mode, "0o17777", "octal"),
        (_fields.seconds(), "5 weeks", "500ms"),
        (_fields.seconds(), float("nan"), "seconds"),
        (_fields.seconds(), -1, "at least 0"),
        (_fields.size(), "3x", "64k"),
        (_fields.size(10, 20), 30, "at most 20"),
        (_fields.boolean, "perhaps", "true or false"),
        (_fields.text, 5, "text"),
        (_fields.words, [1], "list of texts"),
        (_fields.texts, [1], "list of texts"),
        (_fields.mapping, [], "table"),
        (_fields.user, "no-such-user-here", "no user"),
        (_fields.group, "no-such-group-here", "no group"),
        (_fields.hook(1), "x", None),
        (_fields.hook(1), 5, "function"),
        (_fields.hook(1), lambda a, b: None, "takes 1 argument"),
        (_kinds.networks, "10.0.0.1/8", "10.0.0.1/8"),
        (_kinds.networks, "localhost", "neither an address"),
        (_kinds.assignments, "novalue", "NAME=VALUE"),
        (_kinds.certificate_demand, 3, "0 (none)"),
        (_kinds.plugin_name, int, "as text"),
        (_kinds.headers, {"a": 1}, "texts"),
        (_kinds.tables, {"bind": ":1"}, "list of tables"),
        (_kinds.log_level, "loud", "one of debug"),
    ],
)
def test_refusals(kind: _fields.Kind, value: Any, words: str | None) -> None:
    if words is None:  # allowed now, looked up later
        assert kind.convert(value) == value
        return
    with pytest.raises(Invalid) as caught:
        kind.convert(value)
    assert words in str(caught.value)


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.binary(max_size=8),
    st.lists(st.text(max_size=8), max_size=4), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.sampled_from(["10.0.0.0/8", "64k", "2m", "0x1F", "on", "auto", "root", "A=1"]),
)  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(KINDS), anything)
def test_a_kind_answers_or_says_invalid(named: tuple[str, _fields.Kind], value: Any) -> None:
    """Whatever a source holds: a value, or one line; never another exception."""
    try:
        once = named[1].convert(value)
    except Invalid as error:
        words = str(error)
    else:
        assert named[1].convert(once) == once or once != once, "converting again changes nothing"
        return
    assert words
    assert "\n" not in words


@settings(deadline=None, max_examples=100)
@given(st.integers(min_value=0, max_value=10**9))
def test_numbers_survive_their_text(number: int) -> None:
    assert _fields.integer().convert(str(number)) == number
    assert _fields.integer().convert(hex(number)) == number
    assert _fields.size().convert(f"{number}k") == number * 1024
    assert _fields.seconds().convert(f"{number}ms") == pytest.approx(number / 1000)


def test_defaults_are_values_of_their_kinds() -> None:
    defaults = Settings()
    for name, kind in KINDS:
        value = getattr(defaults, name)
        assert kind.convert(value) == value, name
