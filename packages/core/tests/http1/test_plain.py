"""Two readers, one meaning: what is split in C has the fields that reading line by line finds, or is left to it."""

from __future__ import annotations

from typing import Any

import pytest
from hostler.http import Head, Limits, Policy, ProtocolError, Transport
from hostler.http1._head_reader import HeadReader, Readers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_properties import mutated

PROXY = Transport(("127.0.0.1", 5), ("127.0.0.1", 80))
STRANGER = Transport(("203.0.113.9", 5), ("127.0.0.1", 80))
GET = b"GET /a?b HTTP/1.1\r\n"


def reader_of(
    *, lines_only: bool = False, peer: Transport = STRANGER, limits: Limits | None = None, **options: Any
) -> HeadReader:
    reader = Readers(limits or Limits(), Policy(**options)).of(peer)
    if lines_only:
        reader._plain = None
    return reader


def verdict(reader: HeadReader, octets: bytes) -> Any:
    """Everything that becomes of these octets."""
    try:
        entry, rest = reader.glance(octets)
    except ProtocolError as error:
        return error.status, error.kind, error.reason
    if entry is None:
        return None
    head, outline = entry
    told = tuple(getattr(head, name) for name in Head.__slots__ if name not in ("basis", "variables"))
    return told, outline, rest


NAMES = st.sampled_from(
    (
        b"Host",
        b"host",
        b"X-A",
        b"x-a",
        b"X_A",
        b"X-Forwarded-For",
        b"X-Forwarded-Proto",
        b"Forwarded",
        b"Cookie",
    )
    + (b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade", b"Expect", b"TE", b"Proxy")
    + (b"Script_Name", b"Content-Type", b"X-A ", b" X-A", b"", b"X\xff", b"X\0", b"a" * 70)
)
VALUES = st.one_of(
    st.sampled_from(
        (
            b"a",
            b"",
            b"5",
            b"5 ",
            b"\t5",
            b"chunked",
            b"close",
            b"keep-alive",
            b"upgrade",
            b"websocket",
            b"https",
        )
        + (
            b"100-continue",
            b"trailers",
            b"1.2.3.4",
            b"for=1.2.3.4",
            b"a\rb",
            b"a\nb",
            b"a\r\n b",
            b"a:b",
            b"\xff ",
        )
    ),
    st.binary(max_size=8),
)
ENDS = st.sampled_from(
    (b"\r\n",) * 12 + (b"\n", b"\r", b"\r\r\n", b" \r\n", b"\t\r\n", b"\r\n\r\n", b"\0\r\n")
)
LINES = st.lists(
    st.tuples(NAMES, st.sampled_from((b": ", b":", b":\t ", b" : ", b"")), VALUES, ENDS).map(b"".join),
    max_size=6,
)
FIRST = st.sampled_from(
    (
        GET,
        GET,
        GET,
        b"POST / HTTP/1.1\r\n",
        b"HEAD / HTTP/1.0\r\n",
        b"FOO / HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n",
    )
    + (
        b"OPTIONS * HTTP/1.1\r\n",
        b"GET http://a/ HTTP/1.1\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n",
        b"get / HTTP/1.1\r\n",
    )
)
heads = st.tuples(
    FIRST,
    LINES.map(b"".join),
    st.sampled_from((b"\r\n",) * 4 + (b"\n", b"\r\n" + GET + b"Host: a\r\n\r\n", b"")),
).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(heads, mutated()),
    st.sampled_from((PROXY, STRANGER)),
    st.sampled_from(("drop", "refuse", "dangerous")),
    st.sampled_from((Limits(), Limits(field=20), Limits(fields=2), Limits(head=60), Limits(0, 0, 0, 0))),
)
@example(GET + b"Host: a\r\nhost: a\r\n\r\n", STRANGER, "drop", Limits())
@example(GET + b"Host: a\r\nX-A: b\nX-A: c\r\n\r\n", STRANGER, "drop", Limits())
@example(GET + b"Host: a\r\nX-A: b\r\nX-A: c\r\n\r\n", STRANGER, "drop", Limits())
@example(GET + b"Host: a\r\nX-A: b\r\n c\r\n\r\n", STRANGER, "drop", Limits())
@example(GET + b"Host: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n", STRANGER, "drop", Limits())
@example(GET + b"Host: a\r\nX_A: b\r\nX-B: c \t\r\n\r\n", STRANGER, "drop", Limits())
@example(GET + b"Host: a\r\nX-Forwarded-Proto: https, http\r\n\r\n", PROXY, "drop", Limits())
def test_both_readers_agree(octets: bytes, peer: Transport, header_map: str, limits: Limits) -> None:
    options: dict[str, Any] = {"peer": peer, "header_map": header_map, "limits": limits}
    own, both = reader_of(lines_only=True, **options), reader_of(**options)
    expected = verdict(own, octets)
    assert verdict(both, octets) == expected
    # Not for what was remembered of the first time either.
    assert verdict(both, octets) == expected
    assert verdict(both, octets) == expected


def split(reader: HeadReader, fields: bytes, first: bytes = GET) -> Any:
    """What becomes of these fields without the other reader's help."""
    section = b"\r\n" + fields + b"\r\n"
    assert reader._plain is not None
    found = reader._plain.read(first[:-2] + section, section)
    return None if found is None else found.headers


def test_plain_heads_need_no_second_reader() -> None:
    reader = reader_of()
    fields = b"Host: a\r\nX-A:\t b \r\nX_B: c\r\nAccept:\r\nx-c: \xff\r\n"
    told = ((b"host", b"a"), (b"x-a", b"b"), (b"accept", b""), (b"x-c", b"\xff"))
    assert split(reader, fields) == told == split(reader, fields)
    assert split(reader, b"") == ()
    assert split(reader, b"Host: a\r\nContent-Length: 3\r\n", b"POST / HTTP/1.1\r\n") is not None
    # What a head in front of others holds is found as well.
    octets = GET + fields + b"\r\n"
    for _ in range(5):
        assert reader.read(octets)[0].headers == told
    assert octets in reader.known


@pytest.mark.parametrize(
    "fields",
    [
        b"Host: a\r\nHOST: a\r\n",
        b"X-A: a\r\nX-A: b\r\n",
        b"X-A: a\r\n b\r\n",
        b"X-A: a\nX-B: b\r\n",
        b"X-A: \0\r\n",
        b"X-A : b\r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        b"X-A: b\r\n\r\nX-B: c\r\n",
    ],
)
def test_doubt_is_left_to_the_other_reader(fields: bytes) -> None:
    assert split(reader_of(), fields) is None


def test_limits_and_policy_hold() -> None:
    assert split(reader_of(limits=Limits(fields=1)), b"Host: a\r\nX-A: b\r\n") is None
    long = b"X-A: " + b"a" * 15 + b"\r\nX-B: b\r\n"
    assert split(reader_of(limits=Limits(field=20)), long) is not None
    assert split(reader_of(limits=Limits(field=19)), long) is None
    assert split(reader_of(header_map="refuse"), b"X_A: b\r\n") is None
    assert split(reader_of(peer=PROXY), b"Script_Name: /a\r\n") is None
    assert split(reader_of(), b"Script_Name: /a\r\n") == ()
    for setting in ("permit_obsolete_folding", "strip_header_spaces"):
        assert reader_of(**{setting: True})._plain is None


def test_layouts_are_kept_within_bounds() -> None:
    reader = reader_of()
    assert reader._plain is not None
    for number in range(600):
        assert split(reader, b"X-%d: a\r\n" % number) == ((b"x-%d" % number, b"a"),)
        assert len(reader._plain._layouts) <= 256
    assert split(reader, b"a" * 5000 + b": b\r\n") == ((b"a" * 5000, b"b"),)
    assert len(reader._plain._layouts) <= 256
    assert all(len(name) < 5000 for names in reader._plain._layouts for name in names)


def test_sections_that_come_once_are_not_kept() -> None:
    reader = reader_of()
    for number in range(5000):
        assert reader.glance(GET + b"Host: a\r\nX: %d\r\n\r\n" % number)[0] is not None
    assert not reader._sections
    assert set(reader.lines.requests) == {GET[:-2]}
    reader.glance(GET + b"Host: a\r\nX: 4999\r\n\r\n")
    assert len(reader._sections) == 1


def test_lines_and_methods_are_remembered_within_bounds() -> None:
    reader = reader_of(lines_only=True, permit_unconventional_http_method=True)
    for number in range(2500):
        for _ in range(2):
            head = reader.read(b"M%d / HTTP/1.1\r\nHost: a\r\nX%d: y\r\n\r\n" % (number, number))[0]
            assert (head.method, head.headers[1]) == (f"M{number}", (b"x%d" % number, b"y"))
    lines = reader.lines
    assert 0 < len(lines._methods) <= lines.METHODS
    assert 0 < len(lines.requests) <= lines.KEPT
    assert 0 < len(lines._fields) <= lines.KEPT
    assert 0 < len(lines._names) <= lines.KEPT
