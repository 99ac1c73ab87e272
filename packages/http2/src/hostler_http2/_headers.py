"""From decoded fields to a `Head` (RFC 9113 section 8.3, RFC 8441 section 4), with the core's policy for fields.

Malformed requests raise `Malformed` and are reset; what is well formed and refused raises `ProtocolError` and is
answered. Knows no stream, frame or table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from hostler.plugin import FieldPolicy, Head, Limits, Policy, ProtocolError, grammar

Field = tuple[bytes, bytes]


class Malformed(Exception):
    """The request is none: its stream is reset with PROTOCOL_ERROR."""


_TARGET = re.compile(rb"[!-\"$-~]+").fullmatch
"""Visible ASCII without `#`, as in HTTP/1.1's request line."""
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_CONVENTIONAL_METHOD = re.compile(rb"[A-Z0-9!$%&'*+\-.^_`|~]{3,20}").fullmatch
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*").fullmatch
_PSEUDO: Final = frozenset((b":method", b":scheme", b":path", b":authority", b":protocol"))
_CONNECTION: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
"""RFC 9113 section 8.2.2: what concerns the connection has no place in HTTP/2."""
_KEPT, _KEPT_SIZE = 1024, 256
"""Fields that are remembered as clean, and octets that the value of one of them has at most."""


class HeadMaker:
    """Makes heads for all connections of one listener whose transports are alike. Remembers fields that were clean."""

    __slots__ = ("_casefold", "_clean", "_fields", "_limits", "_scheme", "_tunnels", "_unconventional")

    def __init__(
        self, limits: Limits, policy: Policy, fields: FieldPolicy, *, secure: bool, tunnels: bool
    ) -> None:
        self._limits = limits
        self._fields = fields
        self._scheme = "https" if secure else "http"
        self._tunnels = tunnels
        self._unconventional = policy.permit_unconventional_http_method
        self._casefold = policy.casefold_http_method
        self._clean: set[Field] = set()

    def head(self, fields: Iterable[Field], ended: bool) -> Head:
        """The head of a request; `ended`: no body follows. Raises `Malformed` and `ProtocolError`."""
        pseudo, regular = self._sort(fields)
        method = self._method(pseudo.get(b":method"))
        if method == "CONNECT":
            target, upgrade = self._connect(pseudo)
        else:
            target, upgrade = self._target(pseudo, method), b""
        if self._limits.request_line and len(method) + len(target) + 10 > self._limits.request_line:
            raise ProtocolError(
                414, "line_too_long", f"a request line of more than {self._limits.request_line} octets"
            )
        self._host(pseudo.get(b":authority"), regular)
        applied = self._fields.apply(regular)
        noted = applied.noted
        length = self._length(noted.get(b"content-length"), ended)
        path, _, query = target.partition(b"?")
        return Head(
            method=method,
            target=target,
            path=applied.path(path),
            query=query,
            http_version="2",
            headers=applied.headers,
            length=0 if upgrade else length,
            scheme=applied.scheme or self._scheme,
            client=applied.client,
            script_name=applied.script_name,
            expects_continue=self._expects(noted, ended),
            upgrade=upgrade,
            trailers_welcome=b"te" in noted,
        )

    def trailers(self, fields: Iterable[Field]) -> tuple[Field, ...]:
        """The trailer fields of a request, policy applied. Raises `Malformed` and `ProtocolError`."""
        for field in fields:
            self._check(field)
        return tuple(self._fields.apply_trailers(fields))

    def _sort(self, fields: Iterable[Field]) -> tuple[dict[bytes, bytes], list[Field]]:
        pseudo: dict[bytes, bytes] = {}
        regular: list[Field] = []
        crumbs: list[bytes] = []
        place = 0
        clean = self._clean
        for field in fields:
            name = field[0]
            if field in clean:
                if name != b"cookie":
                    regular.append(field)
                    continue
            elif name[:1] == b":":
                value = field[1]
                if regular or crumbs or name in pseudo or name not in _PSEUDO or grammar.has_controls(value):
                    raise Malformed("a pseudo-header field that is unknown, repeated or misplaced")
                pseudo[name] = value
                continue
            else:
                self._check(field)
            if name == b"cookie":
                if not crumbs:
                    place = len(regular)
                crumbs.append(field[1])
            else:
                regular.append(field)
        if crumbs:
            # RFC 9113 section 8.2.3: one field again, before anything but HTTP/2 sees it.
            regular.insert(place, (b"cookie", b"; ".join(crumbs)))
        return pseudo, regular

    def _check(self, field: Field) -> None:
        name, value = field
        if _NAME(name) is None:
            raise Malformed("a field name that is empty, not in lower case or no token")
        if name in _CONNECTION or (name == b"te" and value.lower() != b"trailers"):
            raise Malformed("a field that concerns the connection")
        if grammar.has_controls(value) or value.strip(b" \t") != value:
            raise Malformed("a field value with a control character, or with blanks around it")
        if len(value) <= _KEPT_SIZE:
            if len(self._clean) >= _KEPT:
                self._clean.clear()
            self._clean.add(field)

    def _method(self, value: bytes | None) -> str:
        if value is None or _METHOD(value) is None:
            raise Malformed("no method, or one that is no token")
        if self._casefold:
            value = value.upper()
        if not self._unconventional and _CONVENTIONAL_METHOD(value) is None:
            raise ProtocolError(400, "bad_request", "an unconventional method")
        return value.decode("ascii")

    def _target(self, pseudo: dict[bytes, bytes], method: str) -> bytes:
        path = pseudo.get(b":path")
        scheme = pseudo.get(b":scheme")
        if not path or scheme is None or _SCHEME(scheme) is None or b":protocol" in pseudo:
            raise Malformed("no path or no scheme, or a protocol without CONNECT")
        if _TARGET(path) is None or (path[:1] != b"/" and (path != b"*" or method != "OPTIONS")):
            raise Malformed("a path with odd characters, or none that begins with a slash")
        return path

    def _connect(self, pseudo: dict[bytes, bytes]) -> tuple[bytes, bytes]:
        protocol = pseudo.get(b":protocol")
        if protocol is None:
            if b":path" in pseudo or b":scheme" in pseudo or not pseudo.get(b":authority"):
                raise Malformed("CONNECT with a path or a scheme, or without an authority")
            raise ProtocolError(405, "bad_request", "CONNECT, and no tunnel is offered")
        if not self._tunnels:
            raise Malformed("an extended CONNECT, which was not offered")
        remaining = {name: value for name, value in pseudo.items() if name != b":protocol"}
        target = self._target(remaining, "CONNECT")
        if protocol.lower() != b"websocket":
            raise ProtocolError(501, "bad_request", "a protocol other than websocket")
        return target, b"websocket"

    def _host(self, authority: bytes | None, regular: list[Field]) -> None:
        hosts = [field for field in regular if field[0] == b"host"]
        if len(hosts) > 1:
            raise ProtocolError(400, "bad_request", "more than one host field")
        if authority is None:
            if not hosts:
                raise ProtocolError(400, "bad_request", "neither :authority nor Host")
            authority = hosts[0][1]
        elif hosts and hosts[0][1].lower() != authority.lower():
            raise ProtocolError(400, "bad_request", "a Host field that differs from :authority")
        if not authority or grammar.host(authority) is None:
            raise ProtocolError(400, "bad_request", "an authority that is no host")
        if hosts:
            regular.remove(hosts[0])
        regular.insert(0, (b"host", authority))

    def _length(self, declared: bytes | None, ended: bool) -> int | None:
        if declared is None:
            return 0 if ended else None
        length = grammar.length_of(declared)
        if length is None:
            raise Malformed("a Content-Length that is no number")
        if ended and length:
            raise Malformed("a Content-Length without a body")
        if self._limits.body and length > self._limits.body:
            raise ProtocolError(413, "body_too_large", f"a body of more than {self._limits.body} octets")
        return length

    def _expects(self, noted: dict[bytes, bytes], ended: bool) -> bool:
        expectation = noted.get(b"expect")
        if expectation is None:
            return False
        if grammar.tokens_of(expectation) != [b"100-continue"]:
            raise ProtocolError(417, "bad_request", "an expectation other than 100-continue")
        return not ended
