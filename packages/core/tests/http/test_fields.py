"""The field policy: names, trust, forwarding; the same for every protocol."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hostler.http import FieldPolicy, Fields, Policy, ProtocolError, Transport, TrustList
from hypothesis import given, settings
from hypothesis import strategies as st

PROXY = Transport(("127.0.0.1", 5), ("127.0.0.1", 80))
STRANGER = Transport(("203.0.113.9", 5), ("127.0.0.1", 80))


def apply(*fields: tuple[bytes, bytes], transport: Transport = PROXY, **options: object) -> Fields:
    policy = Policy(**options)  # type: ignore[arg-type]
    return FieldPolicy.of(policy, transport).apply(fields)


def test_odd_names() -> None:
    fields = ((b"x_a", b"1"), (b"x-a", b"2"), (b"x.b", b"3"))
    assert apply(*fields).headers == ((b"x-a", b"2"),)
    assert apply(*fields, header_map="dangerous").headers == fields
    with pytest.raises(ProtocolError) as error:
        apply(*fields, header_map="refuse")
    assert error.value.status == 400
    # Even the dangerous map keeps what shadows framing out, and names that are none at all.
    assert (
        apply((b"content_length", b"1"), (b"proxy", b"x"), (b"", b"x"), header_map="dangerous").headers == ()
    )


def test_names_are_remembered_within_bounds() -> None:
    policy = FieldPolicy.of(Policy(), PROXY)
    fields = [(b"x-%d" % number, b"") for number in range(3000)]
    assert len(policy.apply(fields).headers) == 3000
    assert len(policy._rules) <= 1024
    assert policy.apply_trailers(fields[-1:]) == tuple(fields[-1:])


@pytest.mark.parametrize("name", [b"host", b"content-length", b"content-type"])
def test_single_fields(name: bytes) -> None:
    with pytest.raises(ProtocolError):
        apply((name, b"a"), (name, b"a"))


def test_lists_are_noted_joined() -> None:
    applied = apply((b"connection", b"a"), (b"connection", b"b"))
    assert applied.noted == {b"connection": b"a,b"}
    assert len(applied.headers) == 2


@pytest.mark.parametrize(
    ("fields", "scheme"),
    [
        ([(b"x-forwarded-proto", b"https")], "https"),
        ([(b"x-forwarded-proto", b"HTTPS")], "https"),
        ([(b"x-forwarded-proto", b"http")], "http"),
        ([(b"x-forwarded-proto", b"")], ""),
        ([(b"x-forwarded-protocol", b"ssl")], "https"),
        ([(b"x-forwarded-ssl", b"on"), (b"x-forwarded-proto", b"https")], "https"),
        ([(b"forwarded", b"for=1.2.3.4;proto=https")], "https"),
        ([(b"forwarded", b"for=1.2.3.4;proto=http")], "http"),
        ([(b"forwarded", b"for=1.2.3.4;proto=https"), (b"x-forwarded-for", b"1.2.3.4")], ""),
        ([(b"forwarded", b"proto=http"), (b"x-forwarded-proto", b"https")], "https"),
        ([], ""),
    ],
)
def test_scheme(fields: list[tuple[bytes, bytes]], scheme: str) -> None:
    assert apply(*fields).scheme == scheme
    assert apply(*fields, transport=STRANGER).scheme == ""


@pytest.mark.parametrize(
    "fields",
    [
        [(b"x-forwarded-proto", b"https"), (b"x-forwarded-ssl", b"off")],
        [(b"x-forwarded-proto", b"https"), (b"x-forwarded-proto", b"http")],
        [(b"x-forwarded-proto", b"https, http")],
        [(b"forwarded", b"proto=http, proto=https")],
    ],
)
def test_schemes_that_disagree(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(ProtocolError):
        apply(*fields)
    apply(*fields, transport=STRANGER)


def test_strangers_fields_are_plain_or_stripped() -> None:
    fields = ((b"x-forwarded-for", b"1.2.3.4"), (b"x-real-ip", b"1.2.3.4"), (b"forwarded", b"for=1.2.3.4"))
    assert apply(*fields, transport=STRANGER).headers == fields
    assert apply(*fields, transport=STRANGER).client is None
    assert apply(*fields, transport=STRANGER, strip_forwarded=True).headers == ()
    assert apply(*fields, strip_forwarded=True).headers == fields


def test_client() -> None:
    field = (b"x-forwarded-for", b"evil, 198.51.100.7")
    assert apply(field).client == ("198.51.100.7", 0)
    assert apply(field, forwarded_for=False).client is None
    forwarded = (b"forwarded", b'for="[2001:db8::1]:4711"')
    assert apply(forwarded).client == ("2001:db8::1", 4711)
    assert apply(forwarded, forwarded_for=False).client is None
    # A proxy that writes the one leaves the other to its clients.
    assert apply((b"forwarded", b"for=6.6.6.6"), field).client == ("198.51.100.7", 0)


def test_forwarder_headers() -> None:
    fields = ((b"script_name", b"/app/"), (b"path_info", b"/a b"), (b"x-a", b"1"))
    applied = apply(*fields)
    assert applied.headers == ((b"x-a", b"1"),)
    assert applied.script_name == b"/app"
    assert applied.path(b"/given") == b"/app/a%20b"
    assert apply((b"path_info", b"")).path(b"/given") == b"/"
    assert apply((b"script_name", b"/app")).path(b"/given") == b"/given"
    untrusted = apply(*fields, transport=STRANGER)
    assert untrusted.script_name == b""
    assert untrusted.path(b"/given") == b"/given"
    own = frozenset({b"remote_user"})
    assert apply((b"remote_user", b"x"), forwarder_headers=own).headers == ((b"remote_user", b"x"),)
    assert apply((b"remote_user", b"x"), transport=STRANGER, forwarder_headers=own).headers == ()
    with pytest.raises(ProtocolError):
        apply((b"script_name", b"/a"), (b"script_name", b"/b"))


def test_trailers() -> None:
    policy = FieldPolicy.of(Policy(), PROXY)
    fields = [(b"x-a", b"1"), (b"content-length", b"5"), (b"x-forwarded-proto", b"https"), (b"x_b", b"1")]
    fields += [(b"script_name", b"/"), (b"authorization", b"x")]
    assert policy.apply_trailers(fields) == ((b"x-a", b"1"),)
    with pytest.raises(ProtocolError) as error:
        FieldPolicy.of(Policy(header_map="refuse"), PROXY).apply_trailers(fields)
    assert error.value.kind == "bad_trailer"


text = st.text('0123456789.,:[]abcdef for=;"/', max_size=40).map(str.encode)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from((b"x-forwarded-for", b"forwarded", b"x-real-ip")), text), max_size=3)
)
def test_a_stranger_never_chooses(fields: list[tuple[bytes, bytes]]) -> None:
    applied = apply(*fields, transport=STRANGER)
    assert applied.client is None
    assert applied.scheme == ""


@settings(max_examples=200, deadline=None)
@given(text)
def test_what_a_client_sent_before_the_proxys_word_never_wins(value: bytes) -> None:
    client = apply((b"x-forwarded-for", value + b", 198.51.100.7")).client
    assert client == ("198.51.100.7", 0)


@settings(max_examples=200, deadline=None)
@given(text)
def test_junk_is_no_error(value: bytes) -> None:
    apply((b"x-forwarded-for", value), (b"x-a", b"b"))
    with suppress(ProtocolError):  # schemes that disagree
        apply((b"forwarded", value))


def test_trust_of_unix_peers() -> None:
    unix = Transport(("", 0), ("/run/app.sock", 0), unix=True)
    assert not TrustList(("127.0.0.1",)).trusts(unix)
    assert TrustList(("unix",)).trusts(unix)
    assert TrustList(("*",)).trusts(unix)
    assert not TrustList(("unix",)).trusts(PROXY)
    assert not TrustList(("127.0.0.1",)).trusts(Transport(None, None))
