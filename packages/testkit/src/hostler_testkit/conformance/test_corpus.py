"""Requests as octets, and what a live server must make of each: the corpus of `hostler_testkit/corpus`."""

from __future__ import annotations

import time

import pytest

from hostler_testkit.client import NoAnswer
from hostler_testkit.corpus import Case, cases
from hostler_testkit.server import Server


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
@pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
def test_corpus(site: Server, case: Case, split: bool) -> None:
    """The statuses in order, then (where the case says so) the end of the connection."""
    with site.connect() as peer:
        if split:
            for at in range(0, len(case.octets), 7):
                if not peer.send_while_open(case.octets[at : at + 7]):
                    break
                time.sleep(0)
        else:
            peer.send_while_open(case.octets)
        got: list[int] = []
        try:
            for method, _ in case.answers:
                got.append(peer.answer(method).status)
        except NoAnswer as error:
            raise AssertionError(f"{case.name}: {got} and then {error}; wanted {case.answers}") from None
        for status, (_, allowed) in zip(got, case.answers, strict=True):
            assert status in allowed, f"{case.name}: {got}; wanted {case.answers}"
        if case.closes:
            assert peer.rest() == b"", "after the last answer"
