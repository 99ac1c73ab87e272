"""The same bytes for us, for h11 and for llhttp (httptools): who accepts what, and with which content.

We may refuse what they take, for a reason that `WE_REFUSE` lists with its section. What we take, they take with
the same meaning, but for the differences that `THEY_REFUSE` lists with the bytes they hang on.
"""

from __future__ import annotations

import re
from typing import Any

import h11
import httptools
import pytest
from http1_corpus import Play, cases
from hypothesis import given, settings
from hypothesis import strategies as st
from test_properties import mutated

WE_REFUSE = {
    "a line that does not end in CRLF": "RFC 9112 section 2.2: llhttp and h11 take a bare LF in places",
    "a request line that is not method, target and version": "RFC 9112 section 3: h11 takes other octets in targets",
    "an unconventional method": "RFC 9110 section 9.1; a setting permits them",
    "CONNECT, and no tunnel is offered": "RFC 9110 section 9.3.6",
    "an asterisk as target of another method than OPTIONS": "RFC 9112 section 3.2.4",
    "a target that is neither a path nor an http URL": "RFC 9112 section 3.2",
    "a version other than HTTP/1.0 and HTTP/1.1": "RFC 9110 section 15.6.6",
    "empty lines where a request should be": "RFC 9112 section 2.2: llhttp takes any number",
    "a field line that does not begin with a name and a colon": "RFC 9112 sections 5.1 and 5.2: h11 unfolds",
    "a control character in a field": "RFC 9110 section 5.5",
    "no Host field": "RFC 9112 section 3.2: llhttp does not ask for it",
    "a Host field that is no host": "RFC 9110 section 7.2",
    "a Host field that differs from the target's host": "RFC 9112 section 3.2.2",
    "more than one host field": "RFC 9112 section 3.2: llhttp takes several",
    "more than one content-length field": "RFC 9110 section 8.6: h11 takes equal ones",
    "more than one content-type field": "RFC 9110 section 5.3",
    "a Content-Length that is no number": "RFC 9110 section 8.6: h11 takes a list of equal ones",
    "both Transfer-Encoding and Content-Length": "RFC 9112 section 6.3: h11 drops the length",
    "Transfer-Encoding in HTTP/1.0": "RFC 9112 section 6.1",
    "a Transfer-Encoding that does not end in one chunked": "RFC 9112 section 6.1",
    "a transfer coding other than chunked": "RFC 9112 section 6.1: llhttp leaves it to its caller",
    "an expectation other than 100-continue": "RFC 9110 section 10.1.1",
    "a body on a request to upgrade": "RFC 9110 section 7.8",
    "a chunk line that is no size with extensions": "RFC 9112 section 7.1.1: h11 ignores extensions and blanks",
    "a chunk without a size": "RFC 9112 section 7.1.1: h11 ignores extensions and blanks",
    "a chunk line that is too long": "RFC 9112 section 7.1.1: extensions are limited",
    "too many octets of chunk extensions": "RFC 9112 section 7.1.1: extensions are limited",
}
_METHODS = (
    rb"DELETE|GET|HEAD|POST|PUT|CONNECT|OPTIONS|TRACE|COPY|LOCK|MKCOL|MOVE|PROPFIND|PROPPATCH|SEARCH|UNLOCK|BIND"
    rb"|REBIND|UNBIND|ACL|REPORT|MKACTIVITY|CHECKOUT|MERGE|M-SEARCH|NOTIFY|SUBSCRIBE|UNSUBSCRIBE|PATCH|PURGE"
    rb"|MKCALENDAR|LINK|UNLINK|SOURCE|QUERY"
)
THEY_REFUSE = {
    "RFC 9110 section 9.1: llhttp knows a fixed list of methods": rb"^(?:\r\n)*(?!(?:" + _METHODS + rb") )",
    "RFC 9112 section 3.2.2: llhttp takes few octets in the host of an absolute-form target": rb"^(?:\r\n)*\S+ http",
    "RFC 9112 section 2.2: h11 takes no empty line before a request": rb"^\r\n",
    "RFC 9112 section 2.3: minor versions above 1": rb"HTTP/1\.[2-9]",
    "RFC 9112 section 7.1.1: blanks and quoted strings in chunk extensions": rb"\n[0-9A-Fa-f]+[ \t]*;",
    "RFC 9110 section 5.3: h11 and llhttp read Connection and Upgrade their own way": rb"(?i)\nupgrade:",
    "RFC 9110 section 5.5: h11 takes no value that ends in obs-text blanks": rb"[\x80-\xff]",
    "RFC 9110 section 6.5.1: framing fields in trailers, which we drop": (
        rb"(?is)\n0+\r\n.*(?:transfer-encoding|content-length)"
    ),
    "RFC 9110 section 7.2: an invalid name that our policy dropped": rb"\n[!#$%&'*+.^_`|~]",
}


def ours(octets: bytes) -> tuple[str, Any]:
    played = Play().feed([octets])
    if played.complete:
        first = played.requests[0]
        return "taken", (first["method"], first["target"], first["body"])
    if played.gone:
        return "refused", played.gone[0].reason
    return "waits", None


def of_h11(octets: bytes) -> tuple[str, Any]:
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    server.receive_data(octets)
    request, body = None, b""
    try:
        while True:
            event = server.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                return "taken", (request.method.decode(), request.target.decode(), body.decode("latin-1"))
            else:
                return "waits", None
    except h11.RemoteProtocolError:
        return "refused", None


class Llhttp:
    def __init__(self) -> None:
        self.url = self.body = b""
        self.taken: Any = None
        self.method = b""

    def on_url(self, url: bytes) -> None:
        if self.taken is None:
            self.url += url

    def on_body(self, body: bytes) -> None:
        if self.taken is None:
            self.body += body

    def on_headers_complete(self) -> None:
        if self.taken is None:
            self.method = self.parser.get_method()

    def on_message_complete(self) -> None:
        if self.taken is None:
            self.taken = (self.method.decode(), self.url.decode("latin-1"), self.body.decode("latin-1"))


def of_llhttp(octets: bytes) -> tuple[str, Any]:
    seen = Llhttp()
    seen.parser = httptools.HttpRequestParser(seen)
    try:
        seen.parser.feed_data(octets)
    except httptools.HttpParserUpgrade:
        return "taken", None
    except httptools.HttpParserError:
        return ("taken", seen.taken) if seen.taken else ("refused", None)
    return ("taken", seen.taken) if seen.taken else ("waits", None)


def compare(octets: bytes) -> None:
    verdict, content = ours(octets)
    for other in (of_h11, of_llhttp):
        theirs, their_content = other(octets)
        if verdict == theirs == "taken":
            # llhttp tells nothing more once it has seen an upgrade.
            assert their_content is None or content == their_content or b"pgrade" in octets, (other, octets)
        elif verdict == "taken":
            assert any(re.search(pattern, octets) for pattern in THEY_REFUSE.values()), (other, octets)
        elif theirs == "taken" and their_content is not None and verdict == "refused":
            assert content in WE_REFUSE or content.startswith("more than "), (other, octets, content)


CORPUS = [case for case in cases() if len(case.octets) < 5000]


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_corpus(case: Any) -> None:
    compare(case.octets)


@settings(max_examples=200, deadline=None)
@given(mutated())
def test_mutations(octets: bytes) -> None:
    compare(octets)


plain = st.tuples(
    st.sampled_from((b"GET", b"POST", b"PUT", b"DELETE")),
    st.text("abc/%2F?=&-._~", max_size=12).map(lambda text: b"/" + text.encode()),
    st.lists(
        st.tuples(st.text("abcXYZ-9", min_size=3, max_size=8), st.text('ab c\t"=;,', max_size=12)), max_size=5
    ),
    st.binary(max_size=30),
    st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(plain)
def test_plain_requests_mean_the_same_to_all(parts: Any) -> None:
    """Of what is beyond doubt nothing is refused by anyone."""
    method, target, fields, body, chunked = parts
    head = b"%b %b HTTP/1.1\r\nHost: a\r\n" % (method, target)
    head += b"".join(f"X-{name}: {value}\r\n".encode() for name, value in fields)
    if chunked:
        end = b"0\r\n\r\n"
        octets = head + b"Transfer-Encoding: chunked\r\n\r\n"
        octets += (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + end
    else:
        octets = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    mine = ours(octets)
    assert mine[0] == "taken"
    assert mine == of_h11(octets) == of_llhttp(octets)
