"""The table of states against its drawing, and against what a connection really does."""

from __future__ import annotations

import re

from hostler.http1 import _table
from hostler.http1._table import BODY, DEAF, DONE, HEAD, IDLE, MUTE, OWN, PEER, SENDING, On
from http1_corpus import connect


def reached(table: dict[str, dict[str, str]]) -> set[str]:
    seen, fresh = {IDLE}, [IDLE]
    while fresh:
        for state in table[fresh.pop()].values():
            if state not in seen:
                seen.add(state)
                fresh.append(state)
    return seen


def test_every_state_is_reached_and_can_stop() -> None:
    for table, last in ((PEER, DEAF), (OWN, MUTE)):
        plain = {state: dict(steps) for state, steps in table.items()}
        assert reached(plain) == set(plain)
        assert all(steps[On.STOP] == last for steps in plain.values())
        assert plain[last] == {On.STOP: last}


def test_the_drawing_names_every_step() -> None:
    drawing = (_table.__doc__ or "").split("What is read")[1]
    for table in (PEER, OWN):
        for state, steps in table.items():
            if state not in (DEAF, MUTE):
                assert state in drawing
            for step in steps:
                assert step == On.STOP or step in drawing
    arrows = set(re.findall(r"[A-Z]{3,}", drawing)) - {"PEER", "OWN"}
    states = set(PEER) | set(OWN)
    steps = {step for table in (PEER, OWN) for each in table.values() for step in each}
    assert arrows <= states | steps


def test_the_short_way_is_the_tables() -> None:
    connection = connect()
    connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert connection._peer == PEER[IDLE][On.BARE] == PEER[HEAD][On.BARE] == DONE
    connection.start(1, 200, (), length=1)
    assert connection._own == OWN["OWED"][On.START] == SENDING
    connection.data(1, b"x")
    connection.end(1)
    assert (connection._peer, connection._own) == (IDLE, IDLE)
    connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert connection._peer == DONE
    connection = connect()
    connection.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
    assert connection._peer == BODY
    connection.receive(b"")
    assert (connection._peer, connection._own) == (DEAF, MUTE)
