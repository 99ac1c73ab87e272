"""Small values that every protocol shares: dates, grammar, heads, events, examined responses."""

from __future__ import annotations

import email.utils

import pytest
from hostler.http import Data, DateLine, End, Gone, Head, Request, ResponseError, ResponsePolicy, Switch
from hostler.http._date import imf_fixdate
from hostler.http._grammar import has_controls, host, length_of, tokens_of
from hostler.http._response import has_no_body
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 32503680000))
def test_dates_are_those_of_the_library(seconds: int) -> None:
    assert imf_fixdate(seconds).decode() == email.utils.formatdate(seconds, usegmt=True)


def test_the_date_is_rendered_once_a_second() -> None:
    now = [1.0]
    date = DateLine(lambda: now[0])
    assert date.tick() == 1
    first = date.value
    now[0] = 1.9
    assert date.tick() == 1
    assert date.value is first
    now[0] = 2.0
    assert date.tick() == 2
    assert date.value != first
    assert DateLine().tick() > 0


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"0", 0),
        (b"0005", 5),
        (b"9223372036854775807", (1 << 63) - 1),
        (b"9223372036854775808", None),
        (b"", None),
    ],
)
def test_lengths(value: bytes, number: int | None) -> None:
    assert length_of(value) == number


@pytest.mark.parametrize(
    "value", [b"+1", b"-1", b" 1", b"1 ", b"1_0", b"0x1", b"1.0", b"\xb2", b"1" * 20, b"1\n"]
)
def test_no_lengths(value: bytes) -> None:
    assert length_of(value) is None


def test_grammar() -> None:
    assert tokens_of(b" A, ,b\t,") == [b"a", b"b"]
    assert not has_controls(b"a\tb \x80\xff~")
    assert all(has_controls(bytes([octet])) for octet in (0, 8, 10, 13, 31, 127))
    assert host(b"[v1.a:b]:80") is not None
    assert host(b"a b") is None


def test_statuses_without_a_body() -> None:
    assert [status for status in (100, 199, 200, 204, 205, 304, 404) if has_no_body(status)] == [
        100,
        199,
        204,
        304,
    ]


def test_response_names_are_remembered_within_bounds() -> None:
    policy = ResponsePolicy()
    examined = policy.examine(200, [(b"X-%d" % number, b"") for number in range(3000)])
    assert len(examined.fields) == 3000
    assert len(policy._kinds) <= 1024
    with pytest.raises(ResponseError):
        policy.check([(b"X", b"a\r\nb")])
    assert policy.check_trailers([(b"X", b"a"), (b"set-cookie", b"b")]) == [(b"X", b"a")]


def test_values_show_themselves() -> None:
    head = Head(method="GET", target=b"/", path=b"/", query=b"", http_version="1.1", headers=())
    assert repr(head) == "<Head GET b'/' HTTP/1.1>"
    assert repr(Request(1, head, True)) == "Request(1, <Head GET b'/' HTTP/1.1>, ended=True)"
    assert repr(Data(1, b"x")) == "Data(1, b'x')"
    assert repr(End(1)) == "End(1, ())"
    assert repr(Gone(None, "left")) == "Gone(None, 'left', kind='')"
    switch = Switch(None, [])  # type: ignore[arg-type]
    assert switch.events == []
