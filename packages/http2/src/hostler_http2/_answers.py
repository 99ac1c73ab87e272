"""Response heads as header blocks, with the core's policy for responses; kept for the second of their Date.

A block leaves the peer's table alone, so one is good for all connections of a listener. Knows no stream.
"""

from __future__ import annotations

from typing import Final

from hostler.plugin import REASONS, DateLine, Headers, ResponseError, ResponsePolicy, has_no_body

from hostler_http2._hpack import Field, encode

_METHODS: Final = (b"allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")


class Answer:
    """A head ready to be sent: its block, and octets of the body (None: as many as come; 0: no body is sent)."""

    __slots__ = ("bare", "block", "length")

    def __init__(self, block: bytes, length: int | None, bare: bool) -> None:
        self.block = block
        self.length = length
        self.bare = bare
        """The response ends with its head, whatever the application sends."""


class Answers:
    """Makes heads for one listener; `server` is the Server field's value, empty for none."""

    __slots__ = ("_date", "_kept", "_policy", "_second", "_server")

    KEPT = 256
    KEPT_FIELDS = 16
    KEPT_SIZE = 4096

    def __init__(self, server: bytes, date: DateLine) -> None:
        self._server = server
        self._date = date
        self._second = -1
        self._policy = ResponsePolicy()
        self._kept: dict[object, Answer] = {}

    def answer(self, status: int, headers: Headers, length: int | None, headless: bool) -> Answer:
        """The head of a final response; `headless`: to a HEAD request. Raises `ResponseError`."""
        second = self._date.tick()
        if second != self._second:
            self._second = second
            self._kept.clear()
        key = (status, tuple(headers), length, headless)
        answer = self._kept.get(key)
        if answer is None:
            answer = self._make(status, headers, length, headless)
            if len(headers) <= self.KEPT_FIELDS and len(answer.block) <= self.KEPT_SIZE:
                if len(self._kept) >= self.KEPT:
                    self._kept.clear()
                self._kept[key] = answer
        return answer

    def interim(self, status: int, headers: Headers) -> bytes:
        """The block of a 1xx head. Raises `ResponseError`."""
        if not 100 <= status <= 199 or status == 101:
            raise ResponseError(f"{status} is no interim status")
        return encode([_status(status), *_lowered(self._policy.check(headers))])

    def tunnel(self, headers: Headers) -> bytes:
        """The block that accepts an extended CONNECT. Raises `ResponseError`."""
        self._date.tick()
        return encode([_status(200), *_lowered(self._policy.check(headers)), *self._own(False, False)])

    def trailers(self, headers: Headers) -> bytes:
        """The block of a trailer section; empty when none of the fields may stand there. Raises `ResponseError`."""
        return encode(_lowered(self._policy.check_trailers(headers)))

    def refusal(self, status: int) -> tuple[bytes, bytes]:
        """Block and body of an error answer: fixed text, nothing of the request."""
        self._date.tick()
        text = REASONS[status] + b"\n"
        fields = [_status(status), *self._own(False, False)]
        if status == 405:
            fields.append(_METHODS)
        fields.append((b"content-type", b"text/plain; charset=utf-8"))
        fields.append((b"content-length", b"%d" % len(text)))
        return encode(fields), text

    def _make(self, status: int, headers: Headers, length: int | None, headless: bool) -> Answer:
        examined = self._policy.examine(status, headers)
        if examined.length is not None:
            length = examined.length
        bare = headless or has_no_body(status) or status == 205
        if status == 205:
            length = 0
        # RFC 9110 section 8.6: 204 never has a length; 304 tells that of the 200 it stands for.
        told = length is not None and (status == 304 or not has_no_body(status))
        fields = [_status(status), *_lowered(examined.fields)]
        fields += self._own(examined.has_date, examined.has_server)
        if told:
            fields.append((b"content-length", b"%d" % (length or 0)))
        return Answer(encode(fields), 0 if bare else length, bare)

    def _own(self, has_date: bool, has_server: bool) -> list[Field]:
        own = []
        if self._server and not has_server:
            own.append((b"server", self._server))
        if not has_date:
            own.append((b"date", self._date.value))
        return own


def _status(status: int) -> Field:
    return b":status", b"%d" % status


def _lowered(fields: list[Field]) -> list[Field]:
    return [(name.lower(), value) for name, value in fields if name.lower() != b"upgrade"]
