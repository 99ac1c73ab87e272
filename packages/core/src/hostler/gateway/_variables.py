"""From the variables of a web server (RFC 3875 section 4.1) to a head as every protocol has it.

`HTTP_*` become fields, under the same policy as fields from anywhere. The web server is believed in what it
says of its client, its scheme and its user: the listener's operator configured it.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from hostler.http import FieldPolicy, Head, Limits, ProtocolError
from hostler.http._grammar import has_controls, host, length_of, token

_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*").fullmatch
_PATH_SAFE: Final = "/!$&'()*+,;=:@-._~"
_OWN: Final = frozenset(
    (
        b"REQUEST_METHOD",
        b"REQUEST_URI",
        b"PATH_INFO",
        b"SCRIPT_NAME",
        b"QUERY_STRING",
        b"CONTENT_TYPE",
        b"CONTENT_LENGTH",
        b"RAW_URI",
    )
)
"""What the head says itself: the application's adapter makes these of it."""
_FRAMING: Final = frozenset((b"content-length", b"content-type", b"transfer-encoding"))
"""Fields that the web server dealt with; CONTENT_LENGTH and CONTENT_TYPE tell what became of them."""
_METHOD = re.compile(rb"[A-Z0-9!$%&'*+\-.^_`|~]{1,32}").fullmatch
_VERSIONS: Final = {b"HTTP/1.0": "1.0", b"HTTP/2.0": "2", b"HTTP/2": "2"}
_KEPT: Final = 1024
_KEPT_LENGTH: Final = 64


def _bad(reason: str) -> ProtocolError:
    return ProtocolError(400, "bad_request", reason)


class Names(dict[bytes, bytes | str]):
    """Variable -> a field's name as octets, its own name as text, nothing when the application does not see it.

    Web servers send the same names again and again; what became of them is kept, up to a bound.
    """

    __slots__ = ()

    def __missing__(self, key: bytes) -> bytes | str:
        name = _named(key)
        if len(key) <= _KEPT_LENGTH:
            if len(self) >= _KEPT:
                self.clear()
            self[key] = name
        return name


def head_of(
    variables: dict[bytes, bytes], policy: FieldPolicy, limits: Limits, names: Names | None = None
) -> Head:
    """The head that these variables describe. Raises `ProtocolError` with the status of the answer.

    `names` is kept by who makes many.
    """
    get = variables.get
    method = get(b"REQUEST_METHOD", b"")
    if _METHOD(method) is None:
        raise _bad("a REQUEST_METHOD that is no method")
    length = _length(get(b"CONTENT_LENGTH", b""), limits)
    found, shown = _divided(variables, Names() if names is None else names)
    if get(b"CONTENT_TYPE"):
        found.append((b"content-type", variables[b"CONTENT_TYPE"]))
    if get(b"CONTENT_LENGTH"):
        found.append((b"content-length", b"%d" % length))
    _check(found, limits)
    fields = policy.apply(found)
    named = fields.noted.get(b"host")
    if named is not None and host(named) is None:
        raise _bad("a Host field that is no host")
    path, target, script = _paths(variables)
    return Head(
        method=method.decode("ascii"),
        target=target,
        path=path,
        query=get(b"QUERY_STRING", b""),
        http_version=_VERSIONS.get(get(b"SERVER_PROTOCOL", b""), "1.1"),
        headers=fields.headers,
        length=length,
        scheme=_scheme(variables),
        client=_client(variables),
        script_name=script,
        variables=shown,
    )


def _named(key: bytes) -> bytes | str:
    if key[:5] == b"HTTP_":
        name = key[5:].lower().replace(b"_", b"-")
        return b"" if name in _FRAMING or token(name) is None else name
    if key in _OWN or key[:6] == b"UWSGI_" or _NAME(key) is None:
        return b""
    return key.decode("ascii")


def _divided(variables: dict[bytes, bytes], names: Names) -> tuple[list[tuple[bytes, bytes]], dict[str, str]]:
    """Fields, and the variables that the application sees by their own names: operators add some."""
    found: list[tuple[bytes, bytes]] = []
    shown: dict[str, str] = {}
    for key, value in variables.items():
        name = names[key]
        if type(name) is str:
            shown[name] = value.decode("latin-1")
        elif name:
            found.append((name, value))  # type: ignore[arg-type]
    # PEP 3333 wants a name and a port; a web server without one leaves them to ours.
    for own in ("SERVER_NAME", "SERVER_PORT"):
        if shown.get(own) == "":
            del shown[own]
    return found, shown


def _check(found: list[tuple[bytes, bytes]], limits: Limits) -> None:
    octets = b"".join(chain.from_iterable(found))  # one look at all of them: names are tokens
    if limits.field and len(octets) + 2 > limits.field:
        for name, value in found:
            if len(name) + len(value) + 2 > limits.field:
                raise ProtocolError(431, "field_too_large", f"a field of more than {limits.field} octets")
    if limits.fields and len(found) > limits.fields:
        raise ProtocolError(431, "too_many_fields", f"more than {limits.fields} fields")
    if has_controls(octets):
        raise _bad("a control character in a field")


def _length(value: bytes, limits: Limits) -> int:
    if not value:
        return 0
    length = length_of(value)
    if length is None:
        raise _bad("a CONTENT_LENGTH that is no number")
    if limits.body and length > limits.body:
        raise ProtocolError(413, "body_too_large", f"a body of more than {limits.body} octets")
    return length


def _paths(variables: dict[bytes, bytes]) -> tuple[bytes, bytes, bytes]:
    """Encoded path with the script name in front, target, script name.

    By the letter PATH_INFO comes without SCRIPT_NAME, but nginx's usual parameters put the whole path there:
    both are understood. The path keeps the client's own encoding where REQUEST_URI tells it.
    """
    script = variables.get(b"SCRIPT_NAME", b"").rstrip(b"/")
    path = variables.get(b"PATH_INFO", b"")
    target = variables.get(b"REQUEST_URI", b"")
    if has_controls(target):
        raise _bad("a control character in REQUEST_URI")
    if path == b"*":
        return b"*", b"*", b""
    if script and path != script and not path.startswith(script + b"/"):
        path = script + path
    raw = target.partition(b"?")[0]
    if not path:
        encoded = raw if raw[:1] == b"/" else b"/"
    elif raw[:1] == b"/" and raw.isascii() and (unquote_to_bytes(raw) if b"%" in raw else raw) == path:
        encoded = raw
    else:
        encoded = quote_from_bytes(path, safe=_PATH_SAFE).encode("ascii")
    if not target:
        query = variables.get(b"QUERY_STRING", b"")
        target = encoded + (b"?" + query if query else b"")
    return encoded, target, script


def _scheme(variables: dict[bytes, bytes]) -> str:
    if variables.get(b"HTTPS", b"").lower() in (b"on", b"1"):
        return "https"
    for name in (b"REQUEST_SCHEME", b"UWSGI_SCHEME"):
        scheme = variables.get(name, b"").lower()
        if scheme in (b"http", b"https"):
            return scheme.decode("ascii")
    return "http"


def _client(variables: dict[bytes, bytes]) -> tuple[str, int] | None:
    address = variables.get(b"REMOTE_ADDR", b"")
    if not address:
        return None
    port = length_of(variables.get(b"REMOTE_PORT", b""))
    return address.decode("latin-1"), port if port is not None and port <= 65535 else 0
