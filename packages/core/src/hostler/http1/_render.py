"""The one place where heads of HTTP/1 responses are made (RFC 9112 sections 4, 6 and 9).

Knows the response and the outline of its request, not the connection. What was rendered is kept for the
second that its Date names, since most applications answer with the same fields again and again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hostler.http import Head, Headers, ResponseError
from hostler.http._date import DateLine
from hostler.http._response import REASONS, Examined, ResponsePolicy, has_no_body

NO_BODY: Final = 0
"""The response ends with its head."""
LENGTH: Final = 1
CHUNKED: Final = 2
CLOSE: Final = 3
"""The end of the connection ends the body (HTTP/1.0 without a length)."""

OLD: Final = 1
"""The request was HTTP/1.0."""
HEADLESS: Final = 2
"""The request was HEAD."""
KEEP: Final = 4
"""The connection may go on."""
GATEWAY: Final = 8
"""A gateway reads the response: framing by chunks and connection fields are the gateway's own affair."""

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_METHODS: Final = b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"


Entry = tuple[Head, int]
"""A head and the outline of its answers: OLD, HEADLESS, KEEP and GATEWAY, as they hold for it."""


def outline_of(method: str, version: str, keep: bool) -> int:
    """OLD, HEADLESS and KEEP, as they hold for a request whose client wants to keep the connection, or not."""
    outline = KEEP if keep else 0
    return outline | (OLD if version == "1.0" else 0) | (HEADLESS if method == "HEAD" else 0)


class Answer:
    """A rendered head: its bytes, how the body is framed, octets of the body, and whether the connection goes on."""

    __slots__ = ("framing", "head", "keep", "length")

    def __init__(self, head: bytes, framing: int, length: int, keep: bool) -> None:
        self.head = head
        self.framing = framing
        self.length = length
        self.keep = keep


class Renderer:
    """Renders heads for one listener; `server` is the Server field's value, empty for none."""

    __slots__ = ("_answers", "_clock", "_date", "_policy", "_second", "_server")

    KEPT = 256
    KEPT_FIELDS = 16

    def __init__(self, server: bytes, date: DateLine) -> None:
        self._server = b"Server: %b\r\n" % server if server else b""
        self._date = date
        self._clock = date.clock
        self._second = -1
        self._policy = ResponsePolicy()
        self._answers: dict[object, Answer] = {}

    def answer(
        self, status: int, reason: bytes, headers: Headers, length: int | None, outline: int
    ) -> Answer:
        """The head of a final response. `outline`: OLD, HEADLESS, KEEP and GATEWAY. Raises `ResponseError`."""
        if int(self._clock()) != self._second:
            self._second = self._date.tick()
            self._answers.clear()
        key = (status, reason, tuple(headers), length, outline)
        answer = self._answers.get(key)
        if answer is None:
            answer = self._make(status, reason, headers, length, outline)
            if len(headers) <= self.KEPT_FIELDS and len(answer.head) <= 4096:
                if len(self._answers) >= self.KEPT:
                    self._answers.clear()
                self._answers[key] = answer
        return answer

    def interim(self, status: int, headers: Headers) -> bytes:
        """A 1xx head. Raises `ResponseError`."""
        if not 100 <= status <= 199 or status == 101:
            raise ResponseError(f"{status} is no interim status")
        return self._head(status, b"", self._policy.check(headers), b"")

    def switch(self, protocol: bytes, headers: Headers) -> bytes:
        """The 101 head that accepts an upgrade. Raises `ResponseError`."""
        closing = b"Upgrade: %b\r\nConnection: Upgrade\r\n" % protocol
        return self._head(101, b"", self._policy.check(headers), self._own_fields(Examined()) + closing)

    def refusal(self, status: int, headless: bool) -> bytes:
        """A whole error answer: fixed text, nothing of the request (CVE-2012-0053)."""
        self._date.tick()
        text = REASONS[status] + b"\n"
        fields = (
            b"%b%bContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n"
            % (
                self._own_fields(Examined()),
                _METHODS if status == 405 else b"",
                len(text),
            )
        )
        return self._head(status, b"", (), fields) + (b"" if headless else text)

    def trailers(self, headers: Headers) -> bytes:
        """The lines of a trailer section, without its end. Raises `ResponseError`."""
        return b"".join([b"%b: %b\r\n" % field for field in self._policy.check_trailers(headers)])

    def _make(self, status: int, reason: bytes, headers: Headers, length: int | None, outline: int) -> Answer:
        examined = self._policy.examine(status, headers, reason)
        if examined.length is not None:
            length = examined.length
        framing, expected, line = self._framing(status, length, outline)
        keep = bool(outline & KEEP) and not examined.close and framing != CLOSE
        if outline & GATEWAY:
            connection = b""
        elif status == 426:
            connection = b"Connection: upgrade\r\n" if keep else b"Connection: upgrade, close\r\n"
        elif not keep:
            connection = b"Connection: close\r\n"
        else:
            connection = b"Connection: keep-alive\r\n" if outline & OLD else b""
        head = self._head(status, reason, examined.fields, self._own_fields(examined) + line + connection)
        return Answer(head, framing, expected, keep)

    def _framing(self, status: int, length: int | None, outline: int) -> tuple[int, int, bytes]:
        if has_no_body(status):
            # RFC 9110 section 8.6: 204 never has one; 304 tells that of the 200 it stands for.
            line = b"" if length is None or status != 304 else b"Content-Length: %d\r\n" % length
            return NO_BODY, 0, line
        if status == 205:
            return NO_BODY, 0, b"Content-Length: 0\r\n"
        line = b"" if length is None else b"Content-Length: %d\r\n" % length
        if outline & HEADLESS:
            return NO_BODY, 0, line
        if length is not None:
            return LENGTH, length, line
        if outline & (OLD | GATEWAY):
            return CLOSE, 0, b""
        return CHUNKED, 0, b"Transfer-Encoding: chunked\r\n"

    def _own_fields(self, examined: Examined) -> bytes:
        server = b"" if examined.has_server else self._server
        return server if examined.has_date else b"%bDate: %b\r\n" % (server, self._date.value)

    def _head(self, status: int, reason: bytes, fields: Iterable[tuple[bytes, bytes]], last: bytes) -> bytes:
        lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason or REASONS.get(status, b"Unknown"))]
        lines += [b"%b: %b\r\n" % field for field in fields]
        lines.append(last)
        lines.append(b"\r\n")
        return b"".join(lines)
