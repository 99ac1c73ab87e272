"""PEP 3333: every rule that servers are known to get wrong, asked of a live WSGI server: the answers."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest

from hostler_testkit.client import message, until
from hostler_testkit.server import Server

INTERFACE = "wsgi"


def logged(site: Server, text: str) -> str:
    """The log, once it has a text."""
    until(lambda: text in site.log(), f"{text!r} in the log")
    return site.log()


def closed(site: Server, name: str) -> int:
    """How often `close` was called so far."""
    return len(site.left(name) or "")


def closed_once(site: Server, name: str, before: int) -> None:
    """The counter grows by one, and by no more with a further request."""
    until(lambda: closed(site, name) > before, f"{name} is counted")
    site.request()
    assert closed(site, name) == before + 1


# -- start_response --------------------------------------------------------------------------------------


def test_write_comes_before_the_iterable(site: Server) -> None:
    """`start_response` returns `write`, whose octets precede the iterable's."""
    assert site.request(target="/write").body == b"one two three"


def test_start_response_may_come_with_the_first_block(site: Server) -> None:
    """A generator runs only when iterated."""
    answer = site.request(target="/lazy-start")
    assert (answer.status, answer.get("x-late"), answer.body) == (200, b"yes", b"lazy")


def test_second_start_response_raises(site: Server) -> None:
    """Without exc_info a second call is an error of the application."""
    answer = site.request(target="/second-start")
    assert answer.body.startswith(b"raised ")


@pytest.mark.parametrize("target", ["/exc-info-early", "/empty-first"])
def test_exc_info_replaces_the_head(site: Server, target: str) -> None:
    """Before the first octet nothing of the old head may stay, least of all its Content-Length."""
    answer = site.request(target=target)
    assert answer.status in (500, 503)
    assert answer.reason == b"Replaced"
    assert answer.body == b"replaced"
    assert answer.all("x-old") == []
    assert answer.all("content-length") in ([], [b"8"])


def test_exc_info_after_the_head_raises(site: Server) -> None:
    """What was sent cannot be replaced: the exception comes back, and the client sees a broken answer."""
    with site.connect() as peer:
        peer.send(message(target="/exc-info-late"))
        received = peer.rest()
    assert site.await_left("exc-info-late") == "KeyError('late')"
    assert b"sent" in received
    assert not received.endswith(b"0\r\n\r\n")
    assert received.count(b"HTTP/1.1 ") == 1


def test_no_start_response_is_a_500(site: Server) -> None:
    """An application that never calls it."""
    assert site.request(target="/no-start").status == 500


def test_reason_phrase_is_kept(site: Server) -> None:
    """HTTP/1.1 carries the application's own words."""
    answer = site.request(target="/status?line=299%20Fine%20Indeed")
    assert (answer.status, answer.reason) == (299, b"Fine Indeed")


@pytest.mark.parametrize(
    "line",
    ["200", "OK", "20 OK", "2000 OK", "200OK", "two hundred", "099 Low", "101 Switching", "103 Early", ""],
)
def test_status_must_be_three_digits_and_a_reason(site: Server, line: str) -> None:
    """Anything else, and an interim status, is a mistake that costs one 500."""
    answer = site.request(target=f"/status?line={quote(line)}")
    if line == "200":  # an empty reason is tolerated by some, refused by others: never garbled
        assert answer.status in (200, 500)
    else:
        assert answer.status == 500


@pytest.mark.parametrize("place", ["name", "value", "reason"])
@pytest.mark.parametrize("octet", ["\r", "\n", "\r\n", "\0"])
def test_line_ends_never_reach_the_wire(site: Server, place: str, octet: str) -> None:
    """Response splitting: a CR, LF or NUL of the application is an error before anything is sent."""
    evil = quote(f"a{octet}Injected: yes", encoding="latin-1")
    target = {
        "name": f"/field?name={evil}&value=b",
        "value": f"/field?name=X-Evil&value={evil}",
        "reason": f"/status?line=200%20{evil}",
    }[place]
    answer = site.request(target=target)
    assert answer.status == 500
    assert answer.all("injected") == []
    assert b"Injected" not in answer.body


@pytest.mark.parametrize("name", ["Connection", "Transfer-Encoding", "Upgrade", "Proxy-Authenticate"])
def test_hop_by_hop_fields_are_the_servers(site: Server, name: str) -> None:
    """They are an error (PEP 3333) or are left out; in no case do they reach the wire."""
    answer = site.request(target=f"/field?name={name}&value=kit")
    assert answer.status == 500 or b"kit" not in answer.all(name)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "é", "(a)"])
def test_field_name_must_be_a_token(site: Server, name: str) -> None:
    """A name that is none costs one 500."""
    assert site.request(target=f"/field?name={quote(name, encoding='latin-1')}&value=b").status == 500


def test_header_text_is_latin_1(site: Server) -> None:
    """One character, one octet."""
    assert site.request(target="/field?name=X-Text&value=%E9").get("x-text") == b"\xe9"


# -- the body --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["normal", "list", "error", "error-first"])
def test_close_is_called_once(site: Server, kind: str) -> None:
    """After the end, after an error, and on a subclass of list."""
    before = closed(site, f"closed.{kind}")
    with site.connect() as peer:
        peer.send(message(target=f"/closing?kind={kind}", headers=[("Connection", "close")]))
        peer.rest()
    closed_once(site, f"closed.{kind}", before)


def test_close_is_called_for_head(site: Server) -> None:
    """An answer without a body has an iterable all the same."""
    before = closed(site, "closed.normal")
    assert site.request("HEAD", "/closing?kind=normal").body == b""
    closed_once(site, "closed.normal", before)


def test_close_is_called_when_the_client_leaves(site: Server) -> None:
    """An endless answer ends with its client."""
    before = closed(site, "endless-closed")
    with site.connect() as peer:
        peer.send(message(target="/endless"))
        assert peer.receive()
    closed_once(site, "endless-closed", before)


def test_longer_than_content_length_is_cut(site: Server) -> None:
    """Not one octet more than was promised, whatever the connection does next."""
    with site.connect() as peer:
        peer.send(message(target="/length?says=5&blocks=hello,%20world"))
        answer = peer.answer()
        assert (answer.get("content-length"), answer.body) == (b"5", b"hello")
        if peer.send_while_open(message()):
            received = peer.receive()
            assert received == b"" or received.startswith(b"HTTP/1.1 200 ")


def test_shorter_than_content_length_ends_the_connection(site: Server) -> None:
    """No head of a further answer may be read as the missing octets."""
    with site.connect() as peer:
        peer.send(message(target="/length?says=10&blocks=hello") + message())
        received = peer.rest()
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"\r\ncontent-length: 10" in head.lower()
    assert body == b"hello"


@pytest.mark.parametrize("target", ["/", "/one", "/big?size=100000", "/stream", "/nothing"])
def test_head_has_the_head_of_get_and_no_body(site: Server, target: str) -> None:
    """The next answer on the connection starts right behind the head."""
    with site.connect() as peer:
        got = peer.request("GET", target)
        seen = peer.request("HEAD", target)
        assert seen.status == got.status
        assert seen.body == b""
        if got.all("content-length"):
            assert seen.all("content-length") in ([], got.all("content-length"))
        assert peer.request().body == b"hello"


@pytest.mark.parametrize(("target", "length"), [("/one", b"3"), ("/nothing", b"0")])
def test_one_block_or_none_has_a_length(site: Server, target: str, length: bytes) -> None:
    """No chunks where the whole body is known."""
    answer = site.request(target=target)
    assert answer.get("content-length") == length
    assert answer.all("transfer-encoding") == []


@pytest.mark.parametrize("line", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("body", ["yes", "no"])
def test_no_body_with_204_and_304(site: Server, line: str, body: str) -> None:
    """Neither a body nor its framing, whatever the application gives."""
    with site.connect() as peer:
        peer.send(message(target=f"/status?line={quote(line)}&body={body}"))
        answer = peer.answer()
        assert answer.status == int(line[:3])
        assert answer.body == b""
        assert answer.all("transfer-encoding") == []
        if line.startswith("204"):
            assert answer.all("content-length") == []
        assert peer.request().body == b"hello"


def test_empty_blocks_end_nothing(site: Server) -> None:
    """An empty block is no last chunk."""
    assert site.request(target="/empties").body == b"abc"


def test_unknown_length_to_http_1_0(site: Server) -> None:
    """No chunks: the end of the connection is the end of the body."""
    with site.connect() as peer:
        peer.send(message(target="/stream", version="1.0", headers=[("Connection", "keep-alive")]))
        received = peer.rest()
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == b"aaaaabbbbbccccc"


def test_text_as_body_is_a_500(site: Server) -> None:
    """The body is octets."""
    assert site.request(target="/not-bytes").status == 500


def test_fields_are_taken_when_given(site: Server) -> None:
    """The server may change its copy; what the client gets is what was passed."""
    answer = site.request(target="/mutated")
    assert answer.get("x-one") == b"1"


def test_blocks_are_not_asked_for_ahead(server: Any) -> None:
    """A reader that takes nothing holds the iterable up: its 250 MB are not collected in memory."""
    running = server(write_timeout=60)
    with running.connect() as peer:
        peer.send(message(target="/ahead"))
        first = peer.receive()
        assert first
        running.await_left("asked")
        count = 0
        while count < (count := len(running.await_left("asked"))) < 200:
            time.sleep(0.5)  # no longer growing: the server waits for the reader
        assert count < 200


# -- errors ----------------------------------------------------------------------------------------------


def test_error_before_the_head_is_a_plain_500(site: Server) -> None:
    """No traceback and nothing of the request in the page; the log has it all."""
    answer = site.request(target="/fail?canary")
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert b"canary" not in answer.body
    assert "quite-a-secret" in logged(site, "quite-a-secret")


def test_error_after_the_head_is_visible(site: Server) -> None:
    """The body has no proper end, and no second head follows."""
    with site.connect() as peer:
        peer.send(message(target="/fail-late"))
        received = peer.rest()
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"begun" in received
    assert not received.endswith(b"0\r\n\r\n")


def test_base_exception_after_the_head_appends_nothing(server: Any) -> None:
    """A SystemExit of the application is no answer either, and the service goes on."""
    running = server()
    with running.connect() as peer:
        peer.send(message(target="/exits"))
        received = peer.rest()
    assert received.count(b"HTTP/1.1 ") <= 1
    assert not received.endswith(b"0\r\n\r\n")
    assert running.request().status == 200
