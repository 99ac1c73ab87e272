"""Variables of a web server as heads: paths, schemes, clients, fields, and what must never come through."""

from __future__ import annotations

from typing import Any

import pytest
from hostler.gateway import head_of
from hostler.gateway._variables import Names
from hostler.http import FieldPolicy, Head, Limits, Policy, ProtocolError, TrustList
from hypothesis import given, settings
from hypothesis import strategies as st

NGINX = {
    b"QUERY_STRING": b"b=c",
    b"REQUEST_METHOD": b"GET",
    b"CONTENT_TYPE": b"",
    b"CONTENT_LENGTH": b"",
    b"REQUEST_URI": b"/a?b=c",
    b"PATH_INFO": b"/a",
    b"DOCUMENT_ROOT": b"/srv",
    b"SERVER_PROTOCOL": b"HTTP/1.1",
    b"REQUEST_SCHEME": b"https",
    b"HTTPS": b"on",
    b"REMOTE_ADDR": b"192.0.2.7",
    b"REMOTE_PORT": b"4711",
    b"SERVER_PORT": b"443",
    b"SERVER_NAME": b"example.com",
    b"HTTP_HOST": b"example.com",
    b"HTTP_USER_AGENT": b"x",
}


def made(limits: Limits | None = None, policy: Policy | None = None, **changes: Any) -> Head:
    variables = {**NGINX, **{name.encode(): value for name, value in changes.items()}}
    fields = FieldPolicy(policy or Policy(), False, TrustList(()))
    return head_of(
        {name: value for name, value in variables.items() if value is not None}, fields, limits or Limits()
    )


def test_what_nginx_sends() -> None:
    head = made()
    assert (head.method, head.target, head.path, head.query) == ("GET", b"/a?b=c", b"/a", b"b=c")
    assert (head.http_version, head.scheme, head.client) == ("1.1", "https", ("192.0.2.7", 4711))
    assert (head.length, head.chunked, head.expects_continue, head.upgrade) == (0, False, False, b"")
    assert head.headers == ((b"host", b"example.com"), (b"user-agent", b"x"))
    assert head.variables == {
        "DOCUMENT_ROOT": "/srv",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_SCHEME": "https",
        "HTTPS": "on",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "4711",
        "SERVER_PORT": "443",
        "SERVER_NAME": "example.com",
    }


def test_body() -> None:
    head = made(CONTENT_LENGTH=b"5", CONTENT_TYPE=b"text/plain", REQUEST_METHOD=b"POST")
    assert head.length == 5
    assert head.headers[-2:] == ((b"content-type", b"text/plain"), (b"content-length", b"5"))


@pytest.mark.parametrize(
    ("path", "uri", "script", "encoded", "named"),
    [
        (b"/a b", b"/a%20b", b"", b"/a%20b", b""),
        (b"/a/b", b"/a%2Fb?x", b"", b"/a%2Fb", b""),
        (b"/a", b"//a", b"", b"/a", b""),
        (b"/caf\xc3\xa9", None, b"", b"/caf%C3%A9", b""),
        (b"/app/x", b"/app/x", b"/app", b"/app/x", b"/app"),
        (b"/x", b"/app/x", b"/app/", b"/app/x", b"/app"),
        (b"/app", b"/app", b"/app", b"/app", b"/app"),
        (b"/application", b"/application", b"/app", b"/app/application", b"/app"),
        (b"", b"/app", b"/app", b"/app", b"/app"),
        (b"", b"/raw?x", b"", b"/raw", b""),
        (b"", None, b"", b"/", b""),
        (None, b"http://example.com/", b"", b"/", b""),
        (b"*", b"*", b"/app", b"*", b""),
    ],
)
def test_paths(path: Any, uri: Any, script: bytes, encoded: bytes, named: bytes) -> None:
    head = made(PATH_INFO=path, REQUEST_URI=uri, SCRIPT_NAME=script, QUERY_STRING=b"")
    assert (head.path, head.script_name) == (encoded, named)


def test_target_without_uri() -> None:
    assert made(REQUEST_URI=None).target == b"/a?b=c"
    assert made(REQUEST_URI=None, QUERY_STRING=b"").target == b"/a"


@pytest.mark.parametrize(
    ("https", "scheme", "other", "made_of"),
    [
        (b"on", None, None, "https"),
        (b"1", b"http", None, "https"),
        (b"off", b"https", None, "https"),
        (None, b"HTTP", b"https", "http"),
        (None, b"junk", b"https", "https"),
        (None, None, None, "http"),
    ],
)
def test_scheme(https: Any, scheme: Any, other: Any, made_of: str) -> None:
    assert made(HTTPS=https, REQUEST_SCHEME=scheme, UWSGI_SCHEME=other).scheme == made_of


def test_client() -> None:
    assert made(REMOTE_ADDR=b"").client is None
    assert made(REMOTE_PORT=b"").client == ("192.0.2.7", 0)
    assert made(REMOTE_PORT=b"70000").client == ("192.0.2.7", 0)
    # What the client said of itself is not believed.
    assert made(HTTP_X_FORWARDED_FOR=b"6.6.6.6", HTTP_X_FORWARDED_PROTO=b"http").client == ("192.0.2.7", 4711)


@pytest.mark.parametrize(
    ("sent", "version"), [(b"HTTP/1.0", "1.0"), (b"HTTP/2.0", "2"), (b"", "1.1"), (b"x", "1.1")]
)
def test_version(sent: bytes, version: str) -> None:
    assert made(SERVER_PROTOCOL=sent).http_version == version


def test_what_never_comes_through() -> None:
    head = made(
        HTTP_PROXY=b"http://evil",
        HTTP_CONTENT_LENGTH=b"5",
        HTTP_CONTENT_TYPE=b"x",
        HTTP_TRANSFER_ENCODING=b"chunked",
        UWSGI_FILE=b"/etc/passwd",
        SERVER_NAME=b"",
        **{"wsgi.input": b"x", "9LIVES": b"x", "": b"x", "HTTP_": b"x", "HTTP_X(Y": b"x"},
    )
    assert [name for name, _ in head.headers] == [b"host", b"user-agent"]
    assert head.variables is not None
    assert not {"UWSGI_FILE", "wsgi.input", "9LIVES", "", "SERVER_NAME"} & set(head.variables)
    assert made(MY_VAR=b"\xe9", REMOTE_USER=b"me").variables["MY_VAR"] == "\xe9"  # type: ignore[index]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"REQUEST_METHOD": b""}, 400),
        ({"REQUEST_METHOD": b"G T"}, 400),
        ({"REQUEST_METHOD": b"get"}, 400),
        ({"CONTENT_LENGTH": b"+5"}, 400),
        ({"CONTENT_LENGTH": b"5, 5"}, 400),
        ({"CONTENT_LENGTH": b"1073741825"}, 413),
        ({"HTTP_HOST": b"a b"}, 400),
        ({"HTTP_X": b"a\nb"}, 400),
        ({"REQUEST_URI": b"/a\nb"}, 400),
        ({"HTTP_X": b"x" * 9000}, 431),
        ({f"HTTP_X{number}": b"" for number in range(100)}, 431),
    ],
)
def test_refused(changes: dict[str, bytes], status: int) -> None:
    with pytest.raises(ProtocolError) as error:
        made(**changes)
    assert error.value.status == status


def test_no_limits() -> None:
    limits = Limits(field=0, fields=0, body=0)
    many = {f"HTTP_X{number}": b"y" * 9000 for number in range(200)}
    assert len(made(limits, CONTENT_LENGTH=b"99999999999", **many).headers) == 203


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*NGINX, b"SCRIPT_NAME", b"X Y", b"HTTP_A_B"]), st.binary(max_size=12))
)
def test_any_values(variables: dict[bytes, bytes]) -> None:
    try:
        head = head_of(variables, FieldPolicy(Policy(), False, TrustList(())), Limits())
    except ProtocolError as error:
        assert error.status in (400, 413)  # noqa: PT017
    else:
        assert head.path[:1] in (b"/", b"*") or not variables.get(b"PATH_INFO", b"/").startswith(b"/")
        assert head.path.isascii()


def test_remembered_names_change_nothing() -> None:
    """What became of a name is the same the second time; the store has a bound, and long names have no place."""
    names = Names()
    policy = FieldPolicy(Policy(), False, TrustList(()))
    odd = {b"UWSGI_FILE": b"x", b"HTTP_PROXY": b"x", b"HTTP_X(Y": b"x", b"MY_OWN": b"y", b"HTTP_A_B": b"z"}
    variables = {**NGINX, **odd, b"HTTP_" + b"A" * 100: b"x"}
    first, second = (head_of(variables, policy, Limits(), names) for _ in range(2))
    alone = head_of(variables, policy, Limits())
    assert first.headers == second.headers == alone.headers
    assert first.variables == second.variables == alone.variables
    assert set(names) == {*NGINX, *odd}
    for number in range(5000):
        head_of({b"REQUEST_METHOD": b"GET", b"HTTP_X%d" % number: b""}, policy, Limits(), names)
    assert len(names) <= 1024
