"""The kit's own tools: the client, the corpus, the checks for protocols, the command."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hostler.http1 import protocol as http1
from hostler_testkit import NoAnswer, Peer, message, until
from hostler_testkit.corpus import cases, parse
from hostler_testkit.protocol import CHECKS, http1_vectors


@pytest.fixture
def ends() -> object:
    """A peer and the socket that plays its server."""
    left, right = socket.socketpair()
    with left, right:
        yield Peer(left), right


def test_message() -> None:
    """A request with a body gets its length."""
    assert message("POST", "/a", [("X", "y")], b"ab") == (
        b"POST /a HTTP/1.1\r\nHost: testkit.example\r\nX: y\r\nContent-Length: 2\r\n\r\nab"
    )


def test_answers_one_after_the_other(ends) -> None:
    """Interim answers, framings, and what came too early is kept."""
    peer, server = ends
    server.sendall(
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\nX-T: t\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    )
    first, second = peer.answer(), peer.answer()
    assert (first.body, [status for status, _ in first.interim]) == (b"ab", [103])
    assert (second.body, second.trailers) == (b"c", [(b"x-t", b"t")])
    assert peer.answer("HEAD").body == b""


@pytest.mark.parametrize(
    "octets", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", b"nonsense\r\n\r\n"]
)
def test_no_answer(ends, octets: bytes) -> None:
    """What is no complete answer is said to be none."""
    peer, server = ends
    server.sendall(octets)
    server.shutdown(socket.SHUT_WR)
    with pytest.raises(NoAnswer):
        peer.answer()


def test_until_gives_up() -> None:
    """With the words of what never came."""
    with pytest.raises(AssertionError, match="the impossible"):
        until(lambda: False, "the impossible", patience=0.05)


def test_corpus_files() -> None:
    """Names are unique, and each case wants something."""
    found = cases()
    assert len(found) > 80
    assert len({case.name for case in found}) == len(found)
    assert all(case.answers for case in found)


def test_corpus_escapes() -> None:
    """What an editor would spoil."""
    (case,) = parse("=== a\nb\\r\\n\\x41\\\\\\tc\\\n--> GET 400|431\n--> close\n")
    assert case.octets == b"b\r\nA\\\tc"
    assert case.answers == (("GET", frozenset({400, 431})),)
    assert case.closes


def test_checks_find_a_broken_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that takes a cut body for complete is caught."""
    from hostler.http1 import _connection

    def finished(self):
        return ()

    monkeypatch.setattr(_connection.Http1Connection, "expire", finished)
    name, octets = next(iter(http1_vectors().items()))
    with pytest.raises(AssertionError, match="after its deadline"):
        CHECKS["expire"](http1, name, octets)


def test_command_prints_a_table() -> None:
    """One line for the suite; no failure, so no more."""
    command = [sys.executable, "-m", "hostler_testkit.command", "protocol", "http1", "-k", "expire"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[0] == "protocol"
    assert done.stdout.split()[2] == "ok"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("worker", "nonesuch"), "no entry point 'nonesuch' in hostler.workers; installed: "),
        (("worker", "nonesuch_module:worker"), "No module named 'nonesuch_module'"),
        (("protocol", "hostler._sync:worker"), "is a WorkerType, not a ProtocolType"),
        (("worker", "hostler.plugin:nothing"), "has no attribute 'nothing'"),
    ],
)
def test_command_without_a_plugin(words: tuple[str, ...], reason: str) -> None:
    """One line that says why, and what there is."""
    command = [sys.executable, "-m", "hostler_testkit.command", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("hostler-testkit: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_command_takes_a_module_beside_it(tmp_path: Path) -> None:
    """Nothing has to be installed to try a value."""
    (tmp_path / "beside.py").write_text("from hostler.http1 import protocol as mine\n")
    command = [sys.executable, "-P"] if sys.version_info >= (3, 11) else [sys.executable]
    command += ["-c", "from hostler_testkit.command import main; raise SystemExit(main())"]
    command += ["protocol", "beside:mine", "-k", "expire"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
