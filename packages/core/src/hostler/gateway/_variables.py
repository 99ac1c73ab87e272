"""From the variables of a web server (RFC 3875 section 4.1) to a head as every protocol has it.

`HTTP_*` become fields, under the same policy as fields from anywhere. The web server is believed in what it
says of its client, its scheme and its user: the listener's operator configured it.
"""

from __future__ import annotations

import re
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


def _bad(reason: str) -> ProtocolError:
    return ProtocolError(400, "bad_request", reason)


def head_of(variables: dict[bytes, bytes], policy: FieldPolicy, limits: Limits) -> Head:
    """The head that these variables describe. Raises `ProtocolError` with the status of the answer."""
    get = variables.get
    method = get(b"REQUEST_METHOD", b"")
    if _METHOD(method) is None:
        raise _bad("a REQUEST_METHOD that is no method")
    length = _length(get(b"CONTENT_LENGTH", b""), limits)
    fields = policy.apply(_fields(variables, length, limits))
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
        variables={
            name.decode("ascii"): value.decode("latin-1")
            for name, value in variables.items()
            if _shown(name, value)
        },
    )


def _shown(name: bytes, value: bytes) -> bool:
    """A variable that the application sees by its own name: operators add some (`uwsgi_param MY_VAR …`)."""
    if name in _OWN or name.startswith((b"HTTP_", b"UWSGI_")) or _NAME(name) is None:
        return False
    # PEP 3333 wants a name and a port; a web server without one leaves them to ours.
    return bool(value) or name not in (b"SERVER_NAME", b"SERVER_PORT")


def _length(value: bytes, limits: Limits) -> int:
    if not value:
        return 0
    length = length_of(value)
    if length is None:
        raise _bad("a CONTENT_LENGTH that is no number")
    if limits.body and length > limits.body:
        raise ProtocolError(413, "body_too_large", f"a body of more than {limits.body} octets")
    return length


def _fields(variables: dict[bytes, bytes], length: int, limits: Limits) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    for key, value in variables.items():
        if key[:5] != b"HTTP_":
            continue
        name = key[5:].lower().replace(b"_", b"-")
        if name in _FRAMING or token(name) is None:
            continue
        if limits.field and len(name) + len(value) + 2 > limits.field:
            raise ProtocolError(431, "field_too_large", f"a field of more than {limits.field} octets")
        found.append((name, value))
    if variables.get(b"CONTENT_TYPE"):
        found.append((b"content-type", variables[b"CONTENT_TYPE"]))
    if variables.get(b"CONTENT_LENGTH"):
        found.append((b"content-length", b"%d" % length))
    if limits.fields and len(found) > limits.fields:
        raise ProtocolError(431, "too_many_fields", f"more than {limits.fields} fields")
    if any(has_controls(value) for _, value in found):
        raise _bad("a control character in a field")
    return found


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
    elif raw[:1] == b"/" and unquote_to_bytes(raw) == path and raw.isascii():
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
