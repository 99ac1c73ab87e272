"""Addresses as users write them."""

from __future__ import annotations

from typing import Any

import pytest
from hostler._bind import binds, parse
from hostler.errors import ConfigError
from hostler.settings import Settings
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("", "127.0.0.1", 80, False)),
        ("127.0.0.1", ("", "127.0.0.1", 8000, False)),
        (":8080", ("", "0.0.0.0", 8080, False)),
        ("", ("", "0.0.0.0", 8000, False)),
        ("Example.org:1", ("", "example.org", 1, False)),
        ("[::1]:8000", ("", "::1", 8000, True)),
        ("[::]", ("", "::", 8000, True)),
        ("tcp://127.0.0.1:5", ("", "127.0.0.1", 5, False)),
        ("http://127.0.0.1:5", ("http", "127.0.0.1", 5, False)),
        ("http://127.0.0.1:5/", ("http", "127.0.0.1", 5, False)),
        ("https://[::1]:443", ("https", "::1", 443, True)),
        ("HTTPS://a:443", ("https", "a", 443, False)),
        ("uwsgi://127.0.0.1:3031", ("uwsgi", "127.0.0.1", 3031, False)),
    ],
)
def test_tcp(text: str, expected: tuple[Any, ...]) -> None:
    bind = parse(text)
    assert (bind.scheme, bind.host, bind.port, bind.ipv6) == expected
    assert not bind.unix
    assert not bind.passed


@pytest.mark.parametrize(
    ("text", "scheme", "path"),
    [
        ("unix:/run/app.sock", "", "/run/app.sock"),
        ("unix:///run/app.sock", "", "/run/app.sock"),
        ("unix:app.sock", "", "app.sock"),
        ("unix://app.sock", "", "app.sock"),
        ("http+unix:/run/app.sock", "http", "/run/app.sock"),
        ("https+unix:///run/app.sock", "https", "/run/app.sock"),
        ("uwsgi+unix:/run/app.sock", "uwsgi", "/run/app.sock"),
    ],
)
def test_unix(text: str, scheme: str, path: str) -> None:
    bind = parse(text)
    assert (bind.scheme, bind.path, bind.unix) == (scheme, path, True)


def test_passed_descriptors() -> None:
    assert parse("fd://3").descriptor == 3
    assert parse("fd://web").label == "web"
    assert parse("fd://web").passed
    bind = parse("https+fd://web")
    assert (bind.scheme, bind.label) == ("https", "web")


@pytest.mark.parametrize(
    "text",
    [
        "::1:8000", "[::1", "a:b", "a:70000", "unix:", "fd://", "fd://-1", "fd://a b", "http://a/b", "http:/a",
        "a:1:2", "http://", "[]:80",
    ],
)  # fmt: skip
def test_refused_in_one_line(text: str) -> None:
    if text == "http://":
        assert parse(text).host == "0.0.0.0"
        return
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
@settings(deadline=None, max_examples=200)
def test_any_text_is_a_bind_or_one_line(text: str) -> None:
    try:
        bind = parse(text)
    except ConfigError as error:
        said = str(error)
        assert "\n" not in said
    else:
        assert bind.unix or bind.passed or (bind.host and 0 <= bind.port <= 65535)


def test_flat_settings_are_the_defaults() -> None:
    (bind,) = binds(
        Settings(bind=("127.0.0.1:1",), backlog=5, proxy_protocol="v1", http_protocols=("h2", "h1"))
    )
    assert (bind.scheme, bind.backlog, bind.proxy_protocol, bind.certificates) == ("http", 5, "v1", None)
    assert bind.http_protocols == ("h2", "h1")


def test_a_certificate_makes_addresses_without_scheme_tls() -> None:
    found = binds(
        Settings(
            bind=("127.0.0.1:1", "http://127.0.0.1:2", "uwsgi://127.0.0.1:3", "unix:/a", "https://a:4"),
            certfile="c.pem",
            keyfile="k.pem",
        )
    )
    assert [bind.scheme for bind in found] == ["https", "http", "uwsgi", "https", "https"]
    assert [bind.certificates is not None for bind in found] == [True, False, False, True, True]
    assert found[0].certificates is not None
    assert found[0].certificates.keyfile == "k.pem"


def test_protocol_setting_is_for_addresses_without_scheme() -> None:
    found = binds(Settings(bind=("127.0.0.1:1", "http://127.0.0.1:2"), protocol="uwsgi"))
    assert [bind.scheme for bind in found] == ["uwsgi", "http"]


def test_tls_without_certificate_is_refused() -> None:
    with pytest.raises(ConfigError, match="certfile"):
        binds(Settings(bind=("https://127.0.0.1:1",)))
    with pytest.raises(ConfigError, match="certfile"):
        binds(Settings(bind=("127.0.0.1:1",), keyfile="k.pem"))


def test_the_hook_alone_may_make_tls() -> None:
    (bind,) = binds(Settings(bind=("https://127.0.0.1:1",), ssl_context=lambda config, make: make()))
    assert bind.certificates is not None


def test_tables_have_rules_of_their_own() -> None:
    tables = (
        {"bind": "0.0.0.0:443", "certfile": "a.pem", "http_protocols": "h2,h1"},
        {"bind": "unix:/run/a", "proxy_protocol": "v2", "proxy_allow_ips": ["unix"], "socket_mode": "0600"},
        {"bind": "127.0.0.1:3031", "uwsgi_allow_ips": ["10.0.0.0/8"], "forwarded_allow_ips": "10.0.0.1"},
    )
    tls, unix, plain = binds(Settings(listen=tables, forwarded_allow_ips=("10.9.9.9",)))
    assert tls.scheme == "https"
    assert tls.certificates is not None
    assert (tls.certificates.certfile, tls.certificates.keyfile) == ("a.pem", None)
    assert (tls.http_protocols, tls.forwarded_allow_ips) == (("h2", "h1"), ("10.9.9.9",))
    assert (unix.proxy_protocol, unix.proxy_allow_ips, unix.mode) == ("v2", ("unix",), 0o600)
    assert (plain.scheme, plain.uwsgi_allow_ips) == ("http", ("10.0.0.0/8",))
    assert plain.forwarded_allow_ips == ("10.0.0.1",)


def test_tables_replace_the_default_address_and_stand_beside_given_ones() -> None:
    tables = ({"bind": "127.0.0.1:1"},)
    assert [bind.port for bind in binds(Settings(listen=tables))] == [1]
    assert [bind.port for bind in binds(Settings(listen=tables, bind=("127.0.0.1:2",)))] == [1, 2]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "needs bind"),
        ({"bind": 3}, "needs bind"),
        ({"bind": "a:1", "certfiel": "x"}, "certfiel"),
        ({"bind": "a:1", "backlog": "many"}, "backlog"),
        ({"bind": "a:1", "forwarded_allow_ips": "10.0.0.1/8"}, "forwarded_allow_ips"),
        ({"bind": "http://a:1", "certfile": "x"}, "http://"),
    ],
)
def test_bad_tables(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        binds(Settings(listen=(table,)))


def test_an_address_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="twice"):
        binds(Settings(bind=("127.0.0.1:1", "http://127.0.0.1:1")))
    assert len(binds(Settings(bind=("127.0.0.1:0", "127.0.0.1:0")))) == 2
