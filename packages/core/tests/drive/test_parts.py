"""The driver's parts as values: deadlines, the outbox, bodies, prepared heads, the environ."""

from __future__ import annotations

import io
import os
import socket

import pytest
from hostler._environ import Environs
from hostler._input import IN_MEMORY, AwaitedInput, Body, ClientDisconnected
from hostler._outbox import Outbox, offer
from hostler._patience import Patience
from hostler._poll import READ, SelectorPoller, make_poller
from hostler._prepared import KEPT, PreparedHeads
from hostler._vigil import Vigil
from hostler.http import Head, ResponseError, Waiting
from hostler.settings import Settings
from hypothesis import given, settings
from hypothesis import strategies as st

PATIENCE = Patience(
    Settings(keepalive=5, header_timeout=15, first_byte_timeout=10, body_timeout=30, body_min_rate=240)
)


def head(**given: object) -> Head:
    """A head with a few values of its own."""
    values: dict[str, object] = {
        "method": "GET",
        "target": b"/",
        "path": b"/",
        "query": b"",
        "http_version": "1.1",
        "headers": ((b"host", b"h"),),
    }
    return Head(**{**values, **given})  # type: ignore[arg-type]


def environs(**given: object) -> Environs:
    """Templates of a listener on port 80 of a host."""
    values: dict[str, object] = {
        "address": ("srv", 80),
        "unix": False,
        "errors": io.StringIO(),
        "multithread": False,
        "multiprocess": True,
        "file_wrapper": None,
    }
    return Environs(**{**values, **given})  # type: ignore[arg-type]


class TestDeadlines:
    """Each wait has its own, and a drip renews none but the body's."""

    def test_head_is_not_renewed(self) -> None:
        assert not PATIENCE.over(Waiting.HEAD, 15, 0, 15, 1000)
        assert PATIENCE.over(Waiting.HEAD, 15.1, 0, 15.1, 1000)

    def test_body_by_progress_and_by_rate(self) -> None:
        assert not PATIENCE.over(Waiting.BODY, 100, 0, 90, 240 * 100)
        assert PATIENCE.over(Waiting.BODY, 100, 0, 69, 240 * 100)
        assert PATIENCE.over(Waiting.BODY, 100, 0, 99, 240 * 100 - 1)
        assert not PATIENCE.over(Waiting.BODY, 4, 0, 4, 0)

    def test_the_application_has_no_deadline_here(self) -> None:
        assert not PATIENCE.over(Waiting.NOTHING, 1e9, 0, 0, 0)

    def test_idle_counts_from_the_last_octet(self) -> None:
        assert not PATIENCE.over(Waiting.IDLE, 105, 0, 100, 0)
        assert PATIENCE.over(Waiting.IDLE, 105.1, 0, 100, 0)

    def test_vigil_begins_anew_with_the_next_request_only(self) -> None:
        vigil = Vigil(0)
        assert not vigil.reading_over(PATIENCE, Waiting.HEAD, 0, 1, 1, 10)
        assert vigil.reading_over(PATIENCE, Waiting.HEAD, 0, 17, 17, 20)
        assert not vigil.reading_over(PATIENCE, Waiting.HEAD, 1, 17, 17, 30)

    def test_reader_without_progress(self) -> None:
        vigil = Vigil(0)
        assert not vigil.writing_over(PATIENCE, 1, 1, 100)
        assert not vigil.writing_over(PATIENCE, 1, 20, 100 + 240 * 20)
        assert vigil.writing_over(PATIENCE, 1, 51, 100 + 240 * 20)

    def test_reader_that_drips(self) -> None:
        vigil = Vigil(0)
        assert not vigil.writing_over(PATIENCE, 1, 0, 0)
        assert vigil.writing_over(PATIENCE, 1, 6, 6 * 240 - 1)


class TestOutbox:
    """Everything that was given arrives, in order, whatever the socket takes at a time."""

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.lists(st.binary(max_size=60000), min_size=1, max_size=5), max_size=6))
    def test_order_and_completeness(self, rounds: list[list[bytes]]) -> None:
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            right.setblocking(False)
            left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            outbox, seen = Outbox(left), b""
            for blocks in rounds:
                out = [block for block in blocks if block] or [b"x"]
                outbox.queue(out if outbox.size else offer(left, out, False))
            expected = b"".join(b"".join(block for block in blocks if block) or b"x" for blocks in rounds)
            while len(seen) < len(expected):
                try:
                    seen += right.recv(65536)
                except BlockingIOError:
                    assert outbox.size
                outbox.write()
            assert seen == expected
            assert outbox.size == 0

    def test_file_between_blocks(self, tmp_path: object) -> None:
        path = os.path.join(str(tmp_path), "file")
        with open(path, "wb") as file:
            file.write(b"0123456789" * 50000)
        left, right = socket.socketpair()
        with left, right, open(path, "rb") as file:
            left.setblocking(False)
            outbox = Outbox(left)
            outbox.queue([b"head"])
            outbox.send_file(file.fileno(), 5, 400000)
            outbox.queue([b"tail"])
            seen = b""
            while len(seen) < 400008:
                outbox.write()
                seen += right.recv(65536)
        assert seen == b"head" + (b"0123456789" * 50000)[5:400005] + b"tail"

    def test_file_that_became_shorter(self, tmp_path: object) -> None:
        path = os.path.join(str(tmp_path), "file")
        with open(path, "wb") as file:
            file.write(b"12345")
        left, right = socket.socketpair()
        with left, right, open(path, "rb") as file:
            outbox = Outbox(left)
            outbox.send_file(file.fileno(), 0, 50)
            with pytest.raises(ConnectionAbortedError):
                outbox.write()
            outbox.close()


class TestBody:
    """Small in memory, large in a file, the same to read."""

    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.binary(min_size=1, max_size=5000), max_size=10), st.booleans())
    def test_round_trip(self, blocks: list[bytes], large: bool) -> None:
        body = Body()
        if large:
            blocks = [*blocks, b"z" * (IN_MEMORY + 1)]
        for block in blocks:
            body.feed(block)
        assert body.open().read() == b"".join(blocks)
        body.close()

    def test_awaited_input_reads_once_it_is_there(self) -> None:
        body = Body()

        def arrive() -> None:
            body.feed(b"one\ntwo\n")
            body.complete = True

        lines = AwaitedInput(body, arrive)
        assert lines.readline() == b"one\n"
        assert next(lines) == b"two\n"
        assert lines.read() == b""
        assert lines.readlines() == []
        assert list(lines) == []

    def test_awaited_input_of_a_client_that_left(self) -> None:
        body = Body()
        with pytest.raises(ClientDisconnected, match="the client left"):
            AwaitedInput(body, lambda: None).read()


class TestPreparedHeads:
    """What PEP 3333 forbids is refused by name; what was seen is remembered, within bounds."""

    @pytest.mark.parametrize(
        ("status", "headers", "words"),
        [
            (200, [], "must be a str"),
            ("200", [], "three digits"),
            ("20x OK", [], "three digits"),
            ("200 O\nK", [], "three digits"),
            ("103 Early Hints", [], "interim"),
            ("200 OK", [["a", "b"]], "tuple"),
            ("200 OK", [("a", b"b")], "must be str"),
            ("200 OK", [("Content-Length", "x")], "no number"),
            ("200 OK", [("Content-Length", "1"), ("Content-Length", "1")], "stands twice"),
            ("200 OK", [("X", "\u0119")], "Latin-1"),
        ],
    )
    def test_refused(self, status: str, headers: list[tuple[str, str]], words: str) -> None:
        with pytest.raises(ResponseError, match=words):
            PreparedHeads().get(status, headers)

    def test_remembered_within_bounds(self) -> None:
        heads = PreparedHeads()
        first = heads.get("200 OK", [("A", "b")])
        assert heads.get("200 OK", [("A", "b")]) is first
        for number in range(KEPT):
            heads.get("200 OK", [("A", str(number))])
        again = heads.get("200 OK", [("A", "b")])
        assert again is not first
        assert again.headers == first.headers


class TestEnviron:
    """What a head becomes."""

    def test_fields(self) -> None:
        made = environs().make(
            head(
                headers=(
                    (b"host", b"h"),
                    (b"content-type", b"a/b"),
                    (b"content-length", b"3"),
                    (b"x-a", b"1"),
                    (b"x-a", b"2"),
                    (b"cookie", b"a=1"),
                    (b"cookie", b"b=2"),
                ),
                length=3,
            )
        )
        assert made["HTTP_HOST"] == "h"
        assert made["CONTENT_TYPE"] == "a/b"
        assert made["CONTENT_LENGTH"] == "3"
        assert made["HTTP_X_A"] == "1,2"
        assert made["HTTP_COOKIE"] == "a=1; b=2"
        assert "HTTP_CONTENT_LENGTH" not in made

    def test_paths(self) -> None:
        made = environs().make(
            head(path=b"/a%20b%2Fc/\xc3\xa9", target=b"/a%20b%2Fc/\xc3\xa9?q=%20", query=b"q=%20")
        )
        assert made["PATH_INFO"] == "/a b/c/\xc3\xa9"
        assert made["QUERY_STRING"] == "q=%20"
        assert made["RAW_URI"] == made["REQUEST_URI"] == "/a%20b%2Fc/\xc3\xa9?q=%20"

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            (b"/app", ("/app", "")),
            (b"/app/x", ("/app", "/x")),
            (b"/apple", ("", "/apple")),
            (b"/x", ("", "/x")),
        ],
    )
    def test_mount_point_ends_at_a_segment(self, path: bytes, expected: tuple[str, str]) -> None:
        for made in (
            environs(script_name="/app/").make(head(path=path)),
            environs().make(head(path=path, script_name=b"/app")),
        ):
            assert (made["SCRIPT_NAME"], made["PATH_INFO"]) == expected

    @pytest.mark.parametrize(
        ("host", "expected"),
        [
            (b"a.example", ("a.example", "80")),
            (b"a.example:8080", ("a.example", "8080")),
            (b"[::1]:9", ("[::1]", "9")),
            (b"[::1]", ("[::1]", "80")),
            (b"", ("localhost", "80")),
        ],
    )
    def test_names_on_a_unix_socket(self, host: bytes, expected: tuple[str, str]) -> None:
        made = environs(unix=True, address=("/run/x", 0)).make(head(headers=((b"host", host),)))
        assert (made["SERVER_NAME"], made["SERVER_PORT"]) == expected

    def test_protocols(self) -> None:
        assert environs().make(head(http_version="2"))["SERVER_PROTOCOL"] == "HTTP/2.0"
        assert environs().make(head(http_version="1.0"))["SERVER_PROTOCOL"] == "HTTP/1.0"

    def test_variables_of_a_gateway_win(self) -> None:
        made = environs().make(head(variables={"SERVER_NAME": "public", "REMOTE_USER": "ann"}))
        assert made["SERVER_NAME"] == "public"
        assert made["REMOTE_USER"] == "ann"


@pytest.mark.parametrize("make", [make_poller, SelectorPoller])
def test_pollers_agree(make: object) -> None:
    """Readiness, change of interest and its end, by either."""
    left, right = socket.socketpair()
    with left, right:
        poller = make()  # type: ignore[operator]
        poller.add(left.fileno(), READ)
        assert poller.select(0) == []
        right.send(b"x")
        assert [fd for fd, mask in poller.select(5) if mask & READ] == [left.fileno()]
        poller.change(left.fileno(), 0)
        assert poller.select(0) == []
        poller.change(left.fileno(), READ)
        assert len(poller.select(5)) == 1
        assert poller.fileno() > 0
        poller.remove(left.fileno())
        assert poller.select(0) == []
        poller.close()
