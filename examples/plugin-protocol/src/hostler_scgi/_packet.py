"""The head of a request on the wire: a netstring of NUL-terminated names and values, made a `Head` of."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote_from_bytes

from hostler.plugin import FieldPolicy, Head, Limits, ProtocolError, grammar


def cut(data: bytes, limits: Limits) -> tuple[dict[bytes, bytes], bytes] | None:
    """Variables and what follows them; None while octets are missing. Raises `ProtocolError`."""
    digits, colon, rest = data.partition(b":")
    if not colon:
        if len(digits) > 8 or not (digits.isdigit() or not digits):
            raise ProtocolError(400, "bad_request", "the request does not begin with a length")
        return None
    if len(digits) > 8 or not digits.isdigit():
        raise ProtocolError(400, "bad_request", "the length is no number")
    size = int(digits)
    if size > limits.head:
        raise ProtocolError(431, "headers_too_large", "the variables are too large")
    if len(rest) <= size:
        return None
    if rest[size : size + 1] != b",":
        raise ProtocolError(400, "bad_request", "no comma behind the variables")
    parts = rest[:size].split(b"\0")
    if len(parts) % 2 == 0 or parts.pop() != b"":
        raise ProtocolError(400, "bad_request", "a name without a value")
    names = parts[::2]
    if len(set(names)) != len(names) or len(names) > limits.fields * 2:
        raise ProtocolError(400, "bad_request", "a variable stands twice, or there are too many")
    return dict(zip(names, parts[1::2], strict=True)), rest[size + 1 :]


def head_of(variables: Mapping[bytes, bytes], policy: FieldPolicy, limits: Limits) -> Head:
    """The request as every protocol tells it. Raises `ProtocolError`."""
    method, path = variables.get(b"REQUEST_METHOD", b""), variables.get(b"PATH_INFO", b"")
    length = grammar.length_of(variables.get(b"CONTENT_LENGTH") or b"0")
    if grammar.token(method) is None or length is None or variables.get(b"SCGI") != b"1":
        raise ProtocolError(400, "bad_request", "no method, no length, or not SCGI")
    if limits.body and length > limits.body:
        raise ProtocolError(413, "body_too_large", "the body is too large")
    fields = [
        (name[5:].replace(b"_", b"-").lower(), value)
        for name, value in variables.items()
        if name.startswith(b"HTTP_")
    ]
    fields += [(b"content-type", value) for value in [variables.get(b"CONTENT_TYPE")] if value]
    for name, value in fields:
        if grammar.token(name) is None or grammar.has_controls(value):
            raise ProtocolError(400, "bad_request", "a field with odd characters")
    applied = policy.apply(fields)
    quoted = quote_from_bytes(path, safe="/%:@!$&'()*+,;=~-._").encode()
    query = variables.get(b"QUERY_STRING", b"")
    secure = variables.get(b"HTTPS", b"").lower() in (b"on", b"1")
    return Head(
        method=method.decode(),
        target=variables.get(b"REQUEST_URI") or (quoted + b"?" + query if query else quoted),
        path=quoted,
        query=query,
        http_version="1.1" if variables.get(b"SERVER_PROTOCOL") == b"HTTP/1.1" else "1.0",
        headers=applied.headers,
        length=length,
        scheme="https" if secure else "http",
        client=(variables.get(b"REMOTE_ADDR", b"").decode("latin-1"), 0),
    )
