"""What an application may put into a response's head, the same for every protocol (RFC 9110 sections 5, 6, 15).

Its mistakes become `ResponseError`; the message names a field and never shows a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from hostler.http._errors import ResponseError
from hostler.http._grammar import has_controls, length_of, token, tokens_of

REASONS: Final = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
_bad_reason = re.compile(rb"[^\t -~\x80-\xff]").search
_PLAIN: Final = 0
_LENGTH: Final = 1
_DATE: Final = 2
_SERVER: Final = 3
_CONNECTION: Final = 4
_DROPPED: Final = 5
_REFUSED: Final = 6
_KINDS: Final = {
    b"content-length": _LENGTH,
    b"date": _DATE,
    b"server": _SERVER,
    b"connection": _CONNECTION,
    b"keep-alive": _DROPPED,
    b"transfer-encoding": _REFUSED,
    b"te": _REFUSED,
    b"trailers": _REFUSED,
    b"proxy-connection": _REFUSED,
    b"proxy-authenticate": _REFUSED,
    b"proxy-authorization": _REFUSED,
    b"upgrade": _REFUSED,
}
"""Hop-by-hop fields are the server's (PEP 3333). Let through: `Connection: close` is honoured, `keep-alive`
and `Keep-Alive` say nothing that the server does not decide itself and are left out, `Upgrade` belongs to 426."""
_FORBIDDEN_TRAILERS: Final = frozenset(
    (
        b"content-length",
        b"transfer-encoding",
        b"host",
        b"trailer",
        b"content-type",
        b"content-encoding",
        b"set-cookie",
    )
)
_NAMES_KEPT = 1024


class Examined:
    """A response's fields after the examination."""

    __slots__ = ("close", "fields", "has_date", "has_server", "length")

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        """What is sent, Content-Length and Connection left out."""
        self.length: int | None = None
        """The Content-Length that the application gave."""
        self.close = False
        """The application wants the connection to end."""
        self.has_date = False
        self.has_server = False


class ResponsePolicy:
    """Examines responses for one listener; remembers names that it has seen."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[bytes, int] = {}

    def examine(self, status: int, headers: Iterable[tuple[bytes, bytes]], reason: bytes = b"") -> Examined:
        """Look at a final head. Raises `ResponseError`."""
        if not 200 <= status <= 999:
            raise ResponseError(f"{status} is no final status")
        if _bad_reason(reason) is not None:
            raise ResponseError("a reason phrase with a control character")
        examined = Examined()
        for name, value in headers:
            kind = self._kinds.get(name)
            if kind is None:
                kind = self._learn(name)
            if has_controls(value):
                raise ResponseError(f"a control character in the value of {name.decode('latin-1')}")
            if kind == _PLAIN:
                examined.fields.append((name, value))
            else:
                self._special(examined, status, kind, name, value)
        return examined

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Fields of an interim response: none of them frames a body. Raises `ResponseError`."""
        examined = self.examine(200, headers)
        return examined.fields

    def check_trailers(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Trailer fields, without those that may not stand there. Raises `ResponseError`."""
        return [field for field in self.check(headers) if field[0].lower() not in _FORBIDDEN_TRAILERS]

    def _special(self, examined: Examined, status: int, kind: int, name: bytes, value: bytes) -> None:
        if kind == _LENGTH:
            length = length_of(value.strip(b" \t"))
            if length is None or examined.length is not None:
                raise ResponseError("a Content-Length that is no number, or two of them")
            examined.length = length
        elif kind == _CONNECTION:
            for option in tokens_of(value):
                if option == b"close":
                    examined.close = True
                elif option != b"keep-alive" and not (option == b"upgrade" and status == 426):
                    raise ResponseError("a Connection option other than close: the server decides it")
        elif kind == _REFUSED:
            if name.lower() != b"upgrade" or status != 426:
                raise ResponseError(f"{name.decode('latin-1')} is a hop-by-hop field: the server sets it")
            examined.fields.append((name, value))
        elif kind != _DROPPED:
            if kind == _DATE:
                examined.has_date = True
            else:
                examined.has_server = True
            examined.fields.append((name, value))

    def _learn(self, name: bytes) -> int:
        if token(name) is None:
            raise ResponseError("a field name that is no token")
        kind = _KINDS.get(name.lower(), _PLAIN)
        if len(self._kinds) < _NAMES_KEPT:
            self._kinds[name] = kind
        return kind


def has_no_body(status: int) -> bool:
    """Responses that end with their head whatever their fields say (RFC 9110 section 6.4.1)."""
    return status < 200 or status == 204 or status == 304
