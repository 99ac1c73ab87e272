"""Every case of the corpus: whole, cut in two at every octet, and octet by octet."""

from __future__ import annotations

from typing import Any

import pytest
from http1_corpus import Case, Play, cases, in_pieces, statuses

CASES = cases()


def play(case: Case, pieces: list[bytes]) -> Play:
    played = Play().feed(pieces)
    if case.expected.get("truncated") and not played.connection.closing:
        played.take(played.connection.receive(b""))
    return played


def agrees(told: dict[str, Any], expected: dict[str, Any]) -> bool:
    return all(told[key] == value for key, value in expected.items())


def test_there_are_enough() -> None:
    assert len(CASES) >= 150


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_verdict(case: Case) -> None:
    expected = case.expected
    played = play(case, [case.octets])
    assert len(played.requests) == len(expected["requests"])
    for told, wanted in zip(played.requests[: played.complete], expected["requests"], strict=False):
        assert agrees(told, wanted), (told, wanted)
    methods = [request["method"] for request in played.requests]
    assert statuses(played.written, methods) == expected["responses"]
    assert played.connection.closing is expected["closes"]
    assert [gone.kind for gone in played.gone] == ([expected["kind"]] if "kind" in expected else [])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_splits(case: Case) -> None:
    whole = play(case, [case.octets]).seen()
    octets = case.octets
    assert play(case, in_pieces(octets, 1)).seen() == whole
    assert play(case, in_pieces(octets, 7)).seen() == whole
    # Long cases are long in one place: what matters is near their ends.
    cuts = (
        range(1, len(octets))
        if len(octets) < 1500
        else [*range(1, 300), *range(len(octets) - 300, len(octets))]
    )
    for cut in cuts:
        assert play(case, [octets[:cut], octets[cut:]]).seen() == whole, cut
