"""The line of the access log."""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from typing import Any

import pytest
from hostler._access import Atoms, HeadCache, compile_format
from hostler._access_json import compile_json
from hostler._escape import LENGTH, Escaped, escape, escape_message
from hostler.errors import ConfigError
from hostler.settings import ACCESS_FORMAT
from hypothesis import given, settings
from hypothesis import strategies as st

EVERY = " ".join(f"%({atom})s" for atom in "hlutrmUqHsBbfaTMDLp")


def test_the_default_format(line: Any) -> None:
    text = compile_format(ACCESS_FORMAT)(
        line(fields=[(b"user-agent", b"curl/8"), (b"referer", b"http://a/")])
    )
    assert re.fullmatch(
        r'192\.0\.2\.1 - - \[\d\d/\w\w\w/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /a\?b=c HTTP/1\.1" 200 13 '
        r'"http://a/" "curl/8"\n',
        text,
    )


@pytest.mark.parametrize(
    ("atom", "expected"),
    [
        ("h", "192.0.2.1"),
        ("l", "-"),
        ("u", "-"),
        ("r", "GET /a?b=c HTTP/1.1"),
        ("m", "GET"),
        ("U", "/a"),
        ("q", "b=c"),
        ("H", "HTTP/1.1"),
        ("s", "200"),
        ("st", "200"),
        ("B", "13"),
        ("b", "13"),
        ("f", "-"),
        ("a", "-"),
        ("T", "1"),
        ("M", "1234"),
        ("D", "1234567"),
        ("L", "1.234568"),
        ("p", f"<{os.getpid()}>"),
        ("{x-one}i", "1"),
        ("{X-One}i", "1"),
        ("{x-none}i", "-"),
        ("{content-type}o", "text/plain"),
        ("{x-none}o", "-"),
        ("{my.key}e", "value"),
        ("{none}e", "-"),
        ("{set-cookie}o", "***"),
        ("{cookie}i", "***"),
        ("{authorization}i", "***"),
    ],
)
def test_atoms(atom: str, expected: str, line: Any) -> None:
    one = line(fields=[(b"x-one", b"1"), (b"cookie", b"secret")], environ={"my.key": "value"})
    assert compile_format(f"%({atom})s")(one) == expected + "\n"
    # Loggers of the standard library get the same.
    assert f"%({atom})s" % Atoms(one) == expected


def test_days_are_not_lost(line: Any) -> None:
    assert compile_format("%(T)s %(M)s")(line(seconds=100_000.5)) == "100000 100000500\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Basic " + b64encode(b"ann:secret"), "ann"),
        (b"basic " + b64encode("jürg:x".encode()), "jürg"),
        (b"Basic " + b64encode(b'a"b\n:x'), "a\\x22b\\x0A"),
        (b"Basic ***", "-"),
        (b"Bearer abc", "-"),
    ],
)
def test_user(value: bytes, expected: str, line: Any) -> None:
    assert compile_format("%(u)s")(line(fields=[(b"authorization", value)])) == expected + "\n"


def test_conversions_and_literals(line: Any) -> None:
    render = compile_format('%(s)5d|%(B)-6s|%% {x} "\\n" é {0} %(h)s\t')
    assert render(line()) == '  200|13    |% {x} "\\n" é {0} 192.0.2.1\t\n'


@pytest.mark.parametrize("text", ["%(x)s", "%(nonsense)s", "100%", "%(h)", "%h", "%({x}z)s"])
def test_bad_formats(text: str) -> None:
    with pytest.raises(ConfigError, match="access_log_format"):
        compile_format(text)


def test_bytes_fields_of_an_answer(line: Any) -> None:
    one = line(headers=[(b"X-A", b"1\n")])
    assert compile_format("%({x-a}o)s")(one) == "1\\x0A\n"


@pytest.mark.parametrize("peer", [None, ("", 0)])
def test_a_unix_peer_has_no_address(peer: Any, line: Any) -> None:
    assert compile_format("%(h)s")(line(peer=peer)) == "-\n"


def test_http2_is_named_as_gunicorn_names_it(line: Any) -> None:
    assert compile_format("%(H)s")(line(http_version="2")) == "HTTP/2.0\n"


def test_the_same_head_is_made_once(line: Any) -> None:
    render = compile_format("%(r)s %(s)s")
    one = line()
    assert render(one) == "GET /a?b=c HTTP/1.1 200\n"
    one.status = 404
    assert render(one) == "GET /a?b=c HTTP/1.1 404\n"


# -- nothing gets through ------------------------------------------------------------------------------

HOSTILE = [b"\r\nfake", b"\x1b]0;title\x07", b"\x9b31m", b"\0", b'" 200 "', b"\\", b"\x7f", b"x" * 1_000_000]


@pytest.mark.parametrize("bad", HOSTILE)
def test_one_request_is_one_printable_line(bad: bytes, line: Any) -> None:
    one = line(
        target=b"/" + bad,
        path=b"/" + bad,
        query=bad,
        method="GET" + bad.decode("latin-1"),
        fields=[(b"user-agent", bad), (b"referer", bad), (b"x-a", bad)],
        peer=(bad.decode("latin-1"), 1),
        headers=[("x-b", bad.decode("latin-1"))],
        environ={"c": bad.decode("latin-1")},
    )
    for render in (compile_format(EVERY + " %({x-a}i)s %({x-b}o)s %({c}e)s"), compile_json()):
        text = render(one)
        assert text.endswith("\n")
        assert text[:-1].isprintable()
        assert len(text) < 20 * LENGTH
    assert '" 200 "' not in compile_format('"%(a)s"')(one)


@given(st.binary(max_size=60), st.text(max_size=60))
@settings(deadline=None, max_examples=200)
def test_any_client(line: Any, data: bytes, text: str) -> None:
    one = line(
        target=data,
        path=data,
        query=data,
        fields=[(b"user-agent", data)],
        environ={"x": text},
        peer=(text, 1),
    )
    plain = compile_format(EVERY + " %({x}e)s")(one)
    assert plain.splitlines() == [plain[:-1]]
    plain.encode()
    found = json.loads(compile_json()(one))
    assert found["target"] == data.decode("latin-1")


def test_json(line: Any) -> None:
    fields = [
        (b"host", b"example.org"),
        (b"user-agent", b'"x"'),
        (b"authorization", b"Basic " + b64encode(b"ann:")),
    ]
    found = json.loads(compile_json()(line(fields=fields)))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.pop("time"))
    assert found == {
        "client": "192.0.2.1",
        "method": "GET",
        "target": "/a?b=c",
        "protocol": "HTTP/1.1",
        "host": "example.org",
        "referer": "",
        "user_agent": '"x"',
        "user": "ann",
        "status": 200,
        "bytes": 13,
        "seconds": 1.234568,
        "pid": os.getpid(),
    }


def test_memory_of_heads_is_bounded(line: Any) -> None:
    made: list[Any] = []
    cache = HeadCache(made.append)
    for number in range(1000):
        cache[line(target=b"/%d" % number).head]
    assert len(cache) <= 256
    cache.clear()
    large = line(fields=[(b"cookie", b"x" * 5000)]).head
    for _ in range(2):
        cache[large]
    assert not cache
    assert made[-2:] == [large, large]


def test_memory_of_texts_is_bounded() -> None:
    known = Escaped()
    for number in range(5000):
        assert known[str(number)] == str(number)
    assert len(known) <= 1024


def test_escape() -> None:
    assert escape("plain é") == "plain é"
    assert escape('a"b\\c\n\x85\u2028') == "a\\x22b\\x5Cc\\x0A\\x85\\u2028"
    assert escape("x" * 2000) == "x" * LENGTH + "..."


def test_messages_keep_their_lines_but_indented() -> None:
    assert escape_message("one") == "one"
    assert escape_message("one\ntwo\x1b\ttab") == "one\n  two\\x1B\ttab"
