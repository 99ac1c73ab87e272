"""Forwarding fields read from the right, and the list of who is believed."""

from __future__ import annotations

import pytest
from hostler.http import TrustList
from hostler.http._forwarded import of_forwarded, of_x_forwarded_for, parse_node

TRUST = TrustList(("127.0.0.1", "10.0.0.0/8", "2001:db8::/32"))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("1.2.3.4", ("1.2.3.4", 0)),
        ("1.2.3.4:80", ("1.2.3.4", 80)),
        ("::1", ("::1", 0)),
        ("[::1]", ("::1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("::ffff:1.2.3.4", ("1.2.3.4", 0)),
        ("[::ffff:1.2.3.4]:1", ("1.2.3.4", 1)),
        ("1.2.3.4:65536", None),
        ("1.2.3.4:", None),
        ("1.2.3", None),
        ("01.2.3.4", None),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("[::1", None),
        ("[1.2.3.4]", ("1.2.3.4", 0)),
        ("evil.example", None),
    ],
)
def test_node(text: str, node: tuple[str, int] | None) -> None:
    assert parse_node(text) == node


@pytest.mark.parametrize(
    ("value", "client"),
    [
        (b"1.2.3.4", ("1.2.3.4", 0)),
        (b"evil, 1.2.3.4", ("1.2.3.4", 0)),
        (b"6.6.6.6, 1.2.3.4", ("1.2.3.4", 0)),
        (b"6.6.6.6, 1.2.3.4, 10.1.1.1", ("1.2.3.4", 0)),
        (b"6.6.6.6, 1.2.3.4:5, 10.1.1.1 ,\t[2001:db8::5]:80", ("1.2.3.4", 5)),
        (b"10.1.1.1, 10.1.1.2", ("10.1.1.1", 0)),
        (b"1.2.3.4, junk, 10.1.1.2", ("10.1.1.2", 0)),
        (b"1.2.3.4, junk", None),
        (b"1.2.3.4,,10.1.1.2", ("10.1.1.2", 0)),
        (b"", None),
        (b"\xe9", None),
    ],
)
def test_x_forwarded_for(value: bytes, client: tuple[str, int] | None) -> None:
    assert of_x_forwarded_for(value, TRUST) == client


def test_everybody_is_trusted_but_nobody_is_skipped() -> None:
    assert of_x_forwarded_for(b"6.6.6.6, 1.2.3.4", TrustList(("*",))) == ("1.2.3.4", 0)


@pytest.mark.parametrize(
    ("value", "client", "schemes"),
    [
        (b"for=1.2.3.4", ("1.2.3.4", 0), []),
        (b'FOR="1.2.3.4:5"; Proto=HTTPS ;by=x', ("1.2.3.4", 5), [b"https"]),
        (b'for=6.6.6.6, for=1.2.3.4;proto=http,for="[2001:db8::1]"', ("1.2.3.4", 0), [b"http"]),
        (b"for=unknown", None, []),
        (b"proto=https", None, [b"https"]),
        (b"for=1.2.3.4;for=5.6.7.8", None, []),
        (b"for=1.2.3.4 x", None, []),
        (b'for="1.2.3.4', None, []),
        (b"nonsense", None, []),
        (b"for=1.2.3.4;", ("1.2.3.4", 0), []),
        (b"", None, []),
    ],
)
def test_forwarded(value: bytes, client: tuple[str, int] | None, schemes: list[bytes]) -> None:
    assert of_forwarded(value, TRUST) == (client, schemes)


@pytest.mark.parametrize(
    ("entries", "inside", "outside"),
    [
        (("10.0.0.1",), ["10.0.0.1", "::ffff:10.0.0.1"], ["10.0.0.2", "::1"]),
        (("10.0.0.0/8",), ["10.9.9.9", "::ffff:10.9.9.9"], ["11.0.0.1"]),
        (("::1",), ["::1"], ["::2", "127.0.0.1"]),
        (("::ffff:10.0.0.1",), ["10.0.0.1"], ["10.0.0.2"]),
        (("::ffff:10.0.0.0/104",), ["10.1.2.3"], ["11.1.2.3"]),
        (("fe80::/10",), ["fe80::1%eth0"], ["fe00::1"]),
        ((), [], ["127.0.0.1", "", "nonsense"]),
    ],
)
def test_trust_list(entries: tuple[str, ...], inside: list[str], outside: list[str]) -> None:
    trust = TrustList(entries)
    assert all(trust.names(text) for text in inside)
    assert not any(trust.names(text) for text in outside)


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "localhost", "10.0.0.0/33", "::ffff:0:0/90", ""])
def test_bad_entries(entry: str) -> None:
    with pytest.raises(ValueError):
        TrustList((entry,))


def test_what_is_known_is_bounded() -> None:
    trust = TrustList(("10.0.0.0/8",))
    for number in range(3000):
        assert trust.names(f"10.0.{number // 256}.{number % 256}")
    assert len(trust._known) <= 1024
