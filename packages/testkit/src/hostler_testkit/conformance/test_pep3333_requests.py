"""PEP 3333: every rule that servers are known to get wrong, asked of a live WSGI server: the requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostler_testkit.client import NoAnswer, message, until
from hostler_testkit.server import Server

INTERFACE = "wsgi"


def logged(site: Server, text: str) -> str:
    """The log, once it has a text."""
    until(lambda: text in site.log(), f"{text!r} in the log")
    return site.log()


# -- wsgi.input ------------------------------------------------------------------------------------------

BODY = b"first\nsecond line\n\nlast"
LINES = ["first\n", "second line\n", "\n", "last"]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("read", [BODY.decode(), "", ""]),
        ("read-minus-one", [BODY.decode(), ""]),
        ("read-n", ["fir", "st\ns", "", "econd line\n\nlast", ""]),
        ("readline", [*LINES, ""]),
        ("readline-n", ["fi", "rst\n", "", "second line\n"]),
        ("readlines", [*LINES, "|"]),
        ("readlines-hint", None),
        ("iterate", [*LINES, "|"]),
        ("mixed", ["fi", "rst\n", *LINES[1:]]),
    ],
)
def test_input(site: Server, call: str, expected: list[str] | None, chunked: bool) -> None:
    """Every method of `wsgi.input`, and its end is an empty result again and again."""
    if chunked:
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:9], BODY[9:]))
        answer = site.request(
            "POST",
            f"/input?call={call}",
            headers=[("Transfer-Encoding", "chunked")],
            body=body + b"0\r\n\r\n",
        )
    else:
        answer = site.request("POST", f"/input?call={call}", body=BODY)
    got = json.loads(answer.body)
    if expected is None:  # a hint may be ignored
        got.remove("|")
        assert got == LINES
    else:
        assert got == expected


@pytest.mark.parametrize("call", ["read", "readline", "readlines", "iterate", "read-n"])
def test_input_without_a_body(site: Server, call: str) -> None:
    """A GET has an input that is at its end."""
    assert set(json.loads(site.request(target=f"/input?call={call}").body)) <= {"", "|"}


@pytest.mark.parametrize(
    "begun",
    [
        message("POST", "/complete", [("Content-Length", "10")]) + b"short",
        message("POST", "/complete", [("Transfer-Encoding", "chunked")]) + b"5\r\nshort\r\n",
        message("POST", "/complete", [("Transfer-Encoding", "chunked")]) + b"5\r\nshort\r\n0\r\n",
        message("POST", "/complete", [("Transfer-Encoding", "chunked")]) + b"a\r\nshort",
    ],
    ids=["length", "between chunks", "before the last line", "in a chunk"],
)
def test_cut_body_never_looks_complete(site: Server, begun: bytes) -> None:
    """The application is not called, or its read raises; it never sees a clean end."""
    with site.connect() as peer:
        peer.send(begun)
        peer.half_close()
        received = peer.rest()
    assert b"complete" not in received
    assert site.request().status == 200
    assert site.left("complete") is None


def test_large_body_arrives_whole(site: Server) -> None:
    """Larger than any buffer on the way."""
    body = bytes(range(256)) * 12000
    assert site.request("POST", "/echo", body=body).body == body


def test_unread_body_does_not_hurt_the_next_request(site: Server) -> None:
    """What the application left unread is skipped, or the connection ends."""
    with site.connect() as peer:
        answer = peer.request("POST", "/ignore", body=b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
        assert answer.body == b"ignored"
        try:
            assert peer.request().body == b"hello"
        except (NoAnswer, BrokenPipeError, ConnectionResetError):
            assert True


# -- environ ---------------------------------------------------------------------------------------------


def environ(site: Server, target: str = "/environ", **more: Any) -> dict[str, Any]:
    """What the application was called with."""
    answer = site.request(target=target, **more)
    assert answer.status == 200
    shown: dict[str, Any] = json.loads(answer.body)
    return shown


def test_environ_is_a_dict_with_the_required_keys(site: Server) -> None:
    """PEP 3333, environ variables."""
    shown = environ(site, "/environ?a=b&c=%20")
    assert shown["type"] == "dict"
    assert shown["version"] == [1, 0]
    assert shown["REQUEST_METHOD"] == "GET"
    assert shown["SCRIPT_NAME"] == ""
    assert shown["PATH_INFO"] == "/environ"
    assert shown["QUERY_STRING"] == "a=b&c=%20"
    assert shown["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert shown["wsgi.url_scheme"] == "http"
    assert shown["HTTP_HOST"] == "testkit.example"
    assert shown["SERVER_NAME"]
    assert shown["SERVER_PORT"] == str(site.address[1])
    assert shown["REMOTE_ADDR"] == "127.0.0.1"
    for key in ("wsgi.input", "wsgi.errors", "wsgi.file_wrapper"):
        assert key in shown
    assert shown["wsgi.run_once"] is False
    assert shown["wsgi.input_terminated"] is True


def test_texts_are_str(site: Server) -> None:
    """CGI variables are native strings, port numbers too."""
    kinds = environ(site)["types"]
    assert {kind for key, kind in kinds.items() if not key.startswith(("wsgi.", "hostler."))} == {"str"}


def test_process_environment_stays_out(server: Any) -> None:
    """Secrets of the process's environment are no request variables."""
    running = server(environment={"TESTKIT_CANARY": "secret"})
    assert "TESTKIT_CANARY" not in environ(running)


def test_threads_and_processes_are_told_truly(server: Any, site: Server, worker_value: Any) -> None:
    """One worker is no multiprocess server, two are."""
    shown = environ(site)
    assert shown["wsgi.multiprocess"] is False
    assert shown["wsgi.multithread"] is worker_value.threaded
    assert environ(server(workers=2))["wsgi.multiprocess"] is True


def test_path_is_decoded_to_latin_1(site: Server) -> None:
    """Octets of the path, one character each; the raw target stays available."""
    with site.connect() as peer:
        peer.send(b"GET /caf%C3%A9%2Fa%20b?q=%20 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert peer.answer().status == 404
    shown = environ(site, "/%65nviron?x")
    assert shown["PATH_INFO"] == "/environ"
    assert shown["RAW_URI"] == shown["REQUEST_URI"] == "/%65nviron?x"


def test_absolute_form(site: Server) -> None:
    """The path is the target's; the authority is its host."""
    shown = environ(site, "http://testkit.example/environ?a")
    assert (shown["PATH_INFO"], shown["QUERY_STRING"]) == ("/environ", "a")


def test_content_headers_have_no_prefix(site: Server) -> None:
    """CONTENT_TYPE and CONTENT_LENGTH, not HTTP_CONTENT_…."""
    shown = environ(site, method="POST", headers=[("Content-Type", "text/x")], body=b"abc")
    assert (shown["CONTENT_TYPE"], shown["CONTENT_LENGTH"]) == ("text/x", "3")
    assert "HTTP_CONTENT_TYPE" not in shown
    assert "HTTP_CONTENT_LENGTH" not in shown


def test_content_length_beside_chunks(site: Server) -> None:
    """Absent, or exact since the server has the whole body; never the coding's."""
    shown = environ(
        site, method="POST", headers=[("Transfer-Encoding", "chunked")], body=b"3\r\nabc\r\n0\r\n\r\n"
    )
    assert shown.get("CONTENT_LENGTH", "3") in ("3", "")


def test_repeated_fields_are_joined(site: Server) -> None:
    """With commas; cookies with semicolons."""
    shown = environ(site, headers=[("X-A", "1"), ("Cookie", "a=1"), ("X-A", "2"), ("Cookie", "b=2")])
    assert shown["HTTP_X_A"].replace(" ", "") == "1,2"
    assert shown["HTTP_COOKIE"] == "a=1; b=2"


@pytest.mark.parametrize("order", [1, -1])
def test_underscores_cannot_spoof(site: Server, order: int) -> None:
    """`X_A` is not `X-A`: it is dropped, alone and beside it."""
    shown = environ(site, headers=[("X-A", "true"), ("X_A", "false")][::order])
    assert shown["HTTP_X_A"] == "true"
    assert "HTTP_X_A" not in environ(site, headers=[("X_A", "false")])


def test_proxy_field_is_dropped(site: Server) -> None:
    """HTTP_PROXY belongs to the process's environment (httpoxy)."""
    assert "HTTP_PROXY" not in environ(site, headers=[("Proxy", "http://evil.example")])


def test_wsgi_errors_reaches_the_log(site: Server) -> None:
    """Text, lines and flush."""
    assert site.request(target="/errors").body == b"written"
    log = logged(site, "lines to wsgi.errors")
    assert "written to wsgi.errors: é" in log
