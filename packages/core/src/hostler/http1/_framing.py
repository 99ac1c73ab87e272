"""What a head says about its body and its connection (RFC 9112 sections 6 and 9, RFC 9110 sections 7.8, 10.1.1).

Doubt about framing is an error, never repaired: two readers of one message must not see two messages.
"""

from __future__ import annotations

from typing import Final

from hostler.http import Head, Limits, ProtocolError
from hostler.http._fields import Fields
from hostler.http._grammar import host, length_of, tokens_of
from hostler.http1._lines import RequestLine, bad
from hostler.http1._render import Entry, outline_of

_FRAMINGS_KEPT: Final = 8
"""Methods and versions that come with one and the same set of fields."""


class Framing:
    """What method, version and fields say together. `outline`: that of the answers."""

    __slots__ = ("chunked", "expects", "length", "outline", "trailers_welcome", "upgrade")

    def __init__(self, line: RequestLine, noted: dict[bytes, bytes], limits: Limits) -> None:
        self.length, self.chunked = _body(line, noted, limits)
        self.expects = b"expect" in noted and _expects(line, noted[b"expect"], self.length)
        self.upgrade = b""
        keep = line.version == "1.1"
        connection = noted.get(b"connection")
        if connection == b"keep-alive":
            keep = True  # by far the most frequent: not worth a list
        elif connection is not None:
            options = tokens_of(connection)
            keep = b"close" not in options and (keep or b"keep-alive" in options)
            if _asks_for_websocket(line, noted, options):
                if self.length != 0:
                    raise bad("a body on a request to upgrade")
                self.upgrade = b"websocket"
        self.trailers_welcome = b"te" in noted and b"trailers" in tokens_of(noted[b"te"])
        self.outline = outline_of(line.method, line.version, keep)


def make_head(line: RequestLine, fields: Fields, limits: Limits, scheme: str) -> Entry:
    """The head with the outline of its answers. Raises `ProtocolError`."""
    framing = fields.framings.get(line.kind)
    if framing is None or line.authority is not None:
        _check_host(line, fields)
        framing = Framing(line, fields.noted, limits)
        if len(fields.framings) < _FRAMINGS_KEPT:
            fields.framings[line.kind] = framing
    headers = fields.headers
    if line.authority is not None and b"host" not in fields.noted:
        headers = ((b"host", line.authority), *headers)
    head = Head(
        method=line.method,
        target=line.target,
        path=line.path if fields.path_info is None else fields.path(line.path),
        query=line.query,
        http_version=line.version,
        headers=headers,
        length=framing.length,
        chunked=framing.chunked,
        scheme=fields.scheme or scheme,
        client=fields.client,
        script_name=fields.script_name,
        expects_continue=framing.expects,
        upgrade=framing.upgrade,
        trailers_welcome=framing.trailers_welcome,
    )
    return head, framing.outline


def _asks_for_websocket(line: RequestLine, noted: dict[bytes, bytes], options: list[bytes]) -> bool:
    if b"upgrade" not in options or line.version != "1.1" or line.method != "GET":
        return False
    return b"websocket" in tokens_of(noted.get(b"upgrade", b""))


def _check_host(line: RequestLine, fields: Fields) -> None:
    value = fields.noted.get(b"host")
    if value is None:
        if line.version != "1.0":
            raise bad("no Host field")
    elif host(value) is None:
        raise bad("a Host field that is no host")
    elif line.authority is not None and value.lower() != line.authority.lower():
        # RFC 9112 section 3.2.2 lets the target win; a proxy that let the field win would see another site.
        raise bad("a Host field that differs from the target's host")


def _body(line: RequestLine, noted: dict[bytes, bytes], limits: Limits) -> tuple[int | None, bool]:
    coding = noted.get(b"transfer-encoding")
    if coding is not None:
        if b"content-length" in noted:
            raise bad("both Transfer-Encoding and Content-Length")
        if line.version == "1.0":
            raise bad("Transfer-Encoding in HTTP/1.0")
        codings = [element.strip(b" \t").lower() for element in coding.split(b",")]
        if codings[-1] != b"chunked" or b"chunked" in codings[:-1] or b"" in codings:
            raise bad("a Transfer-Encoding that does not end in one chunked")
        if len(codings) > 1:
            raise ProtocolError(501, "bad_request", "a transfer coding other than chunked")
        return None, True
    declared = noted.get(b"content-length")
    if declared is None:
        return 0, False
    length = length_of(declared)
    if length is None:
        raise bad("a Content-Length that is no number")
    if limits.body and length > limits.body:
        raise ProtocolError(413, "body_too_large", f"a body of more than {limits.body} octets")
    return length, False


def _expects(line: RequestLine, expectation: bytes, length: int | None) -> bool:
    if line.version == "1.0":
        return False
    if tokens_of(expectation) != [b"100-continue"]:
        raise ProtocolError(417, "bad_request", "an expectation other than 100-continue")
    return length != 0
