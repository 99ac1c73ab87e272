"""HTTP/1.1 on a live server: connections, pipelining, bodies, interim answers, clients that misbehave."""

from __future__ import annotations

from typing import Any

import pytest

from hostler_testkit.client import PATIENCE, NoAnswer, Peer, message, until
from hostler_testkit.server import Server

# -- connections -----------------------------------------------------------------------------------------


def test_keep_alive(site: Server) -> None:
    """HTTP/1.1 keeps its connection."""
    with site.connect() as peer:
        for _ in range(5):
            answer = peer.request()
            assert (answer.status, answer.body, answer.closing) == (200, b"hello", False)


def test_connection_close(site: Server) -> None:
    """The client may end it with a request."""
    with site.connect() as peer:
        assert peer.request(headers=[("Connection", "close")]).closing
        assert peer.rest() == b""


def test_http_1_0(site: Server) -> None:
    """Closes by default, keeps the connection when asked."""
    with site.connect() as peer:
        answer = peer.request(version="1.0")
        assert answer.body == b"hello"
        assert peer.rest() == b""
    with site.connect() as peer:
        for _ in range(2):
            answer = peer.request(version="1.0", headers=[("Connection", "keep-alive")])
            assert b"keep-alive" in b",".join(answer.all("connection")).lower()
            assert answer.body == b"hello"


def test_keep_alive_off(sites: Any) -> None:
    """`keepalive = 0` ends every connection with its answer."""
    with sites(keepalive=0).connect() as peer:
        assert peer.request().closing
        assert peer.rest() == b""


def test_pipelined_answers_come_in_order(site: Server) -> None:
    """However the requests arrive."""
    targets = ["/big?size=100000", "/", "/stream?count=2&size=3", "/nothing", "/big?size=7"]
    with site.connect() as peer:
        peer.send(b"".join(message(target=target) for target in targets))
        bodies = [peer.answer().body for _ in targets]
    assert [len(body) for body in bodies] == [100000, 5, 6, 0, 7]


def test_many_pipelined_requests(site: Server) -> None:
    """More than any read-ahead holds."""
    count = 500
    with site.connect() as peer:
        peer.send(message(headers=[("X-Filler", "f" * 500)]) * count)
        for _ in range(count):
            assert peer.answer().body == b"hello"


def test_byte_by_byte(site: Server) -> None:
    """A request in many small pieces is the same request."""
    with site.connect() as peer:
        for octet in message("POST", "/echo", [("Transfer-Encoding", "chunked")], b"3\r\nabc\r\n0\r\n\r\n"):
            peer.send(bytes([octet]))
        assert peer.answer().body == b"abc"


def test_half_close(site: Server) -> None:
    """A client that has finished sending still gets its answers."""
    with site.connect() as peer:
        peer.send(message() + message(target="/big?size=300000"))
        peer.half_close()
        assert peer.answer().body == b"hello"
        assert len(peer.answer().body) == 300000
        assert peer.rest() == b""


def test_empty_lines_before_a_request(site: Server) -> None:
    """One stray CRLF after a body is forgiven (RFC 9112 section 2.2)."""
    with site.connect() as peer:
        peer.send(b"\r\n" + message("POST", "/echo", body=b"abc") + b"\r\n" + message())
        assert peer.answer().body == b"abc"
        assert peer.answer().body == b"hello"


def test_after_an_error_nothing_is_parsed(site: Server) -> None:
    """A framing error ends the connection; what follows is no request."""
    with site.connect() as peer:
        peer.send(b"BAD REQUEST LINE\r\n\r\n" + message())
        answer = peer.answer()
        assert (answer.status, answer.closing) == (400, True)
        assert peer.rest() == b""


def test_error_page_says_nothing_of_the_request(site: Server) -> None:
    """Fixed text: no octet of the request, no version of the server."""
    with site.connect() as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: canary=1\r\nbad field\r\n\r\n")
        answer = peer.answer()
    assert answer.status == 400
    assert b"canary" not in answer.body
    assert not any(digit in b"".join(answer.all("server")) for digit in b"0123456789")


def test_every_answer_has_a_date(site: Server) -> None:
    """RFC 9110 section 6.6.1."""
    for target in ("/", "/fail", "/none"):
        assert site.request(target=target).get("date")


# -- bodies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 1 << 20])
def test_bodies_of_both_framings(site: Server, size: int) -> None:
    """Length and chunks give the application the same octets."""
    body = b"0123456789abcdef" * (size // 16) + b"x" * (size % 16)
    with site.connect() as peer:
        assert peer.request("POST", "/echo", body=body).body == body
        pieces = [body[at : at + 40000] for at in range(0, size, 40000)]
        coded = (
            b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Trailer: 1\r\n\r\n"
        )
        answer = peer.request("POST", "/echo", [("Transfer-Encoding", "chunked")], coded)
        assert answer.body == body


def test_streamed_answer(site: Server) -> None:
    """Of unknown length: chunks, and the connection goes on."""
    with site.connect() as peer:
        answer = peer.request(target="/stream?count=50&size=10000")
        assert answer.get("transfer-encoding") == b"chunked"
        assert len(answer.body) == 500000
        assert peer.request().body == b"hello"


def test_large_answer_to_a_slow_reader(site: Server) -> None:
    """What the sockets do not hold waits; nothing is lost."""
    with site.connect() as peer:
        peer.send(message(target="/big?size=20000000"))
        assert len(peer.answer().body) == 20000000


def test_slow_readers_do_not_stop_others(site: Server) -> None:
    """A large answer that is not read leaves the worker free."""
    with site.connect() as slow:
        slow.send(message(target="/big?size=20000000"))
        assert slow.receive()
        assert site.request().body == b"hello"


def test_slow_senders_do_not_stop_others(site: Server) -> None:
    """Neither an unfinished head nor an unfinished body holds the worker."""
    with site.connect() as head, site.connect() as body, site.connect() as silent:
        head.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        body.send(message("POST", "/echo", [("Content-Length", "10")]) + b"12345")
        assert site.request().body == b"hello"
        head.send(b"\r\n")
        assert head.answer().body == b"hello"
        body.send(b"67890")
        assert body.answer().body == b"1234567890"
        assert silent.request().body == b"hello"


def test_head_of_an_unknown_length(site: Server) -> None:
    """No body, and the next answer is read right after."""
    with site.connect() as peer:
        assert peer.request("HEAD", "/stream").body == b""
        assert peer.request().body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(site: Server, status: int) -> None:
    """No body and no framing, whatever the application gives."""
    with site.connect() as peer:
        answer = peer.request(target=f"/status?line={status}%20None&body=no")
        assert (answer.status, answer.body) == (status, b"")
        assert answer.all("transfer-encoding") == []
        assert peer.request().body == b"hello"


def test_too_long_and_too_short(site: Server) -> None:
    """The promised length is never exceeded; a missing rest ends the connection."""
    assert site.request(target="/length?says=5&blocks=hello,%20world").body == b"hello"
    with site.connect() as peer:
        peer.send(message(target="/length?says=10&blocks=hello") + message())
        assert peer.rest().partition(b"\r\n\r\n")[2] == b"hello"


def test_failing_application(site: Server) -> None:
    """A 500 without a word of the traceback, or a visibly broken answer, and the worker goes on."""
    answer = site.request(target="/fail")
    assert answer.status == 500
    assert b"secret" not in answer.body
    with site.connect() as peer:
        peer.send(message(target="/fail-late"))
        received = peer.rest()
        assert received.count(b"HTTP/1.1 ") == 1
        assert not received.endswith(b"0\r\n\r\n")
    assert site.request().status == 200


@pytest.mark.parametrize("where", ["name=X-Evil&value=a%0D%0AInjected:%20yes", "name=X%0AInjected&value=a"])
def test_line_ends_from_the_application(site: Server, where: str) -> None:
    """No response splitting."""
    with site.connect() as peer:
        peer.send(message(target=f"/field?{where}"))
        try:
            answer = peer.answer()
        except NoAnswer:
            raise AssertionError("a mistake of the application costs one 500, not the connection") from None
    assert answer.status == 500
    assert answer.all("injected") == []


# -- interim answers -------------------------------------------------------------------------------------


def test_expect_continue(site: Server) -> None:
    """100 comes when the application reads, before the body was sent."""
    with site.connect() as peer:
        peer.send(message("POST", "/echo", [("Expect", "100-continue"), ("Content-Length", "5")]))
        assert peer.receive().startswith(b"HTTP/1.1 100 ")
        peer.send(b"hello")
        assert peer.answer().body == b"hello"


def test_expect_continue_that_nobody_reads(site: Server) -> None:
    """The final answer comes without a 100, and the connection does not wait for the body."""
    with site.connect() as peer:
        peer.send(message("POST", "/ignore", [("Expect", "100-continue"), ("Content-Length", "5")]))
        answer = peer.answer()
        assert answer.body == b"ignored"
        assert [status for status, _ in answer.interim] in ([], [100])


def test_no_100_for_http_1_0(site: Server) -> None:
    """RFC 9110 section 10.1.1."""
    with site.connect() as peer:
        peer.send(message("POST", "/echo", [("Expect", "100-continue")], b"hello", version="1.0"))
        assert peer.answer().interim == []


def test_early_hints(site: Server) -> None:
    """103 before the answer; nothing of it on HTTP/1.0."""
    answer = site.request(target="/hints")
    assert answer.body == b"hinted"
    assert [status for status, _ in answer.interim] == [103]
    assert dict(answer.interim[0][1])[b"link"] == b"</style.css>; rel=preload; as=style"
    with site.connect() as peer:
        old = peer.request(target="/hints", version="1.0")
        assert (old.interim, old.body) == ([], b"hinted")


# -- clients that leave ----------------------------------------------------------------------------------


def gone(site: Server, peer: Peer) -> None:
    """The peer leaves, and the server goes on."""
    peer.close()
    assert site.request().body == b"hello"


@pytest.mark.parametrize(
    "begun", [b"", b"GET", message("POST", "/echo", [("Content-Length", "9")]) + b"1234"]
)
def test_leaving_before_the_end_of_a_request(site: Server, begun: bytes) -> None:
    """Nothing is called, nothing stays."""
    peer = site.connect()
    peer.send(begun)
    gone(site, peer)


def test_leaving_during_an_answer(site: Server) -> None:
    """An endless answer ends."""
    peer = site.connect()
    peer.send(message(target="/endless"))
    assert peer.receive()
    before = len(site.left("endless-closed") or "")
    gone(site, peer)
    until(
        lambda: len(site.left("endless-closed") or "") == before + 1,
        "the end of the endless answer",
        PATIENCE,
    )


def test_truncated_request_gets_no_success(site: Server) -> None:
    """A body that was cut is never taken for complete."""
    with site.connect() as peer:
        peer.send(message("POST", "/complete", [("Content-Length", "10")]) + b"12345")
        peer.half_close()
        assert b" 200 " not in peer.rest()
    assert site.left("complete") is None
