"""One line of a head at a time: the request line and field lines (RFC 9112 sections 3 and 5).

Knows nothing of bytes that are still to come, nor of what fields mean. A line comes without its CRLF.
"""

from __future__ import annotations

import re
import sys

from hostler.http import Limits, Policy, ProtocolError
from hostler.http._grammar import TCHAR, has_controls, host, token
from hostler.http1._recent import Recent

_REQUEST_LINE = re.compile(rb"([" + TCHAR + rb"]+) ([!-\"$-~]+) HTTP/([0-9])\.([0-9])").fullmatch
"""Method, target (visible ASCII without `#`) and version, each parted by one space."""
_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?@]*)([^@]*)").fullmatch
_CONVENTIONAL_METHOD = re.compile(r"[A-Z0-9!$%&'*+\-.^_`|~]{3,20}").fullmatch

Pair = tuple[bytes, bytes]


def bad(reason: str) -> ProtocolError:
    """The error for a head that no reading makes good."""
    return ProtocolError(400, "bad_request", reason)


class RequestLine:
    """A request line in its parts. `authority` is that of an absolute-form target, else None.

    `kind` is method and version as one word.
    """

    __slots__ = ("authority", "kind", "method", "path", "query", "target", "version")

    def __init__(
        self, method: str, target: bytes, version: str, path: bytes, query: bytes, authority: bytes | None
    ) -> None:
        self.method = method
        self.kind = method + version
        self.target = target
        self.version = version
        self.path = path
        self.query = query
        self.authority = authority


class LineParser:
    """Parses lines under one listener's limits and policy, and remembers those that come again and again."""

    __slots__ = (
        "_fields",
        "_limits",
        "_methods",
        "_names",
        "_policy",
        "_recent",
        "field_limit",
        "line_limit",
        "requests",
    )

    KEPT = 2048
    KEPT_SIZE = 512
    METHODS = 64

    def __init__(self, limits: Limits, policy: Policy) -> None:
        self._limits = limits
        self._policy = policy
        self.line_limit = limits.request_line or sys.maxsize
        self.field_limit = limits.field or sys.maxsize
        self._fields: dict[bytes, Pair] = {}
        self.requests: dict[bytes, RequestLine] = {}
        """Request lines that came before."""
        self._recent = Recent()
        self._methods: dict[bytes, str] = {}
        self._names: dict[bytes, bytes] = {}

    # -- what a line may be before anyone reads it -----------------------------------------------------

    def check_line(self, line: bytes, first: bool) -> None:
        """Raise for a bare CR or LF, and for more octets than a line may have, whichever comes first."""
        limit = self.line_limit if first else self.field_limit
        found = min(line.find(b"\r") % (len(line) + 1), line.find(b"\n") % (len(line) + 1))
        if found < len(line) and found <= limit:
            raise bad("a line that does not end in CRLF")
        if len(line) > limit:
            if first:
                raise ProtocolError(414, "line_too_long", f"a request line of more than {limit} octets")
            raise ProtocolError(431, "field_too_large", f"a field of more than {limit} octets")

    # -- the request line ------------------------------------------------------------------------------

    def request_line(self, line: bytes) -> RequestLine:
        """Parse the first line. Raises `ProtocolError`."""
        parsed = self.requests.get(line)
        if parsed is None:
            parsed = self._request_line(line)
            if self._recent.again(line) and len(line) <= self.KEPT_SIZE:
                if len(self.requests) >= self.KEPT:
                    self.requests.clear()
                self.requests[line] = parsed
        return parsed

    def _request_line(self, line: bytes) -> RequestLine:
        match = _REQUEST_LINE(line)
        if match is None or len(line) > self.line_limit:
            self.check_line(line, True)
            raise bad("a request line that is not method, target and version")
        spelled, target, major, minor = match.groups()
        method = self._methods.get(spelled) or self._method(spelled)
        version = "1.1" if major == minor == b"1" else self._version(major, minor)
        if method == "CONNECT":
            raise ProtocolError(405, "bad_request", "CONNECT, and no tunnel is offered")
        if target[:1] == b"/":
            path, _, query = target.partition(b"?")
            return RequestLine(method, target, version, path, query, None)
        if target == b"*":
            if method != "OPTIONS":
                raise bad("an asterisk as target of another method than OPTIONS")
            return RequestLine(method, target, version, target, b"", None)
        return self._absolute(method, target, version)

    def _absolute(self, method: str, target: bytes, version: str) -> RequestLine:
        match = _ABSOLUTE(target)
        if match is None or not match[1] or host(match[1]) is None or match[1][:1] == b":":
            raise bad("a target that is neither a path nor an http URL")
        path, _, query = match[2].partition(b"?")
        if not path:
            # RFC 9112 section 3.2.4: OPTIONS of a URL without a path asks about the server itself.
            path = b"*" if method == "OPTIONS" and not match[2] else b"/"
        return RequestLine(method, target, version, path, query, match[1])

    def _method(self, spelled: bytes) -> str:
        method = spelled.decode("ascii")
        if self._policy.casefold_http_method:
            method = method.upper()
        if not self._policy.permit_unconventional_http_method and _CONVENTIONAL_METHOD(method) is None:
            raise bad("an unconventional method")
        if len(self._methods) < self.METHODS:
            self._methods[spelled] = method
        return method

    def _version(self, major: bytes, minor: bytes) -> str:
        if major == b"1":
            return "1.0" if minor == b"0" else "1.1"
        if self._policy.permit_unconventional_http_version:
            return "1.0" if major == b"0" else "1.1"
        raise ProtocolError(505, "bad_request", "a version other than HTTP/1.0 and HTTP/1.1")

    # -- field lines -----------------------------------------------------------------------------------

    def field(self, line: bytes) -> Pair:
        """Parse one field line into lower-case name and trimmed value. Raises `ProtocolError`."""
        pair = self._fields.get(line)
        if pair is None:
            pair = self._field(line)
            if len(line) <= self.KEPT_SIZE:
                if len(self._fields) >= self.KEPT:
                    self._fields.clear()
                self._fields[line] = pair
        return pair

    def fields(self, lines: list[bytes]) -> list[Pair]:
        """Parse the field lines of a whole head."""
        if self._limits.fields and len(lines) > self._limits.fields:
            return self._too_many(lines)
        known = self._fields.get
        parse = self.field
        return [known(line) or parse(line) for line in lines]

    def _too_many(self, lines: list[bytes]) -> list[Pair]:
        # Read as many as may be: what is wrong with them was wrong before there were too many.
        for line in lines[: self._limits.fields]:
            self.field(line)
        self.check_line(lines[self._limits.fields], False)
        raise ProtocolError(431, "too_many_fields", f"more than {self._limits.fields} fields")

    def _field(self, line: bytes) -> Pair:
        if len(line) > self.field_limit or has_controls(line):
            self.check_line(line, False)
            raise bad("a control character in a field")
        raw, colon, value = line.partition(b":")
        name = self._names.get(raw)
        if name is None or not colon:
            name = self._name(raw, colon)
        return name, value.strip(b" \t")

    def _name(self, raw: bytes, colon: bytes) -> bytes:
        name = raw.rstrip(b" \t") if self._policy.strip_header_spaces else raw
        if not colon or token(name) is None:
            raise bad("a field line that does not begin with a name and a colon")
        name = name.lower()
        if len(self._names) < self.KEPT and len(raw) <= 64:
            self._names[raw] = name
        return name
