"""A request's head as a WSGI `environ` (PEP 3333), made once per head and copied per request.

Knows names and nothing of sockets: addresses come as values.
"""

from __future__ import annotations

import sys
from typing import Any, TextIO
from urllib.parse import unquote_to_bytes

from hostler.http import Address, Head

_KEYS: dict[bytes, str] = {}
"""Field name -> key; filled from names that passed the field policy, bounded."""
_KEYS_KEPT = 1024


def _key(name: bytes) -> str:
    key = _KEYS.get(name)
    if key is None:
        if name in (b"content-type", b"content-length"):
            key = name.decode("latin-1").upper().replace("-", "_")
        else:
            key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        key = sys.intern(key)
        if len(_KEYS) < _KEYS_KEPT:
            _KEYS[name] = key
    return key


class Environs:
    """Makes the `environ` template of each head for one listener."""

    __slots__ = ("_name", "_port", "_script_name", "_template", "_unix")

    def __init__(
        self,
        *,
        address: Address,
        unix: bool,
        errors: TextIO,
        multithread: bool,
        multiprocess: bool,
        file_wrapper: Any,
        script_name: str = "",
        software: str = "hostler",
    ) -> None:
        self._unix = unix
        self._name, self._port = (address[0] or "localhost"), str(address[1])
        self._script_name = script_name.rstrip("/")
        self._template: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": errors,
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": file_wrapper,
            "SERVER_SOFTWARE": software,
        }

    def make(self, head: Head) -> dict[str, Any]:
        """The template for this head: everything but the input, the peer and the callables of one request."""
        environ = self._template.copy()
        environ["wsgi.url_scheme"] = head.scheme
        environ["REQUEST_METHOD"] = head.method
        environ["QUERY_STRING"] = head.query.decode("latin-1")
        target = head.target.decode("latin-1")
        environ["RAW_URI"] = environ["REQUEST_URI"] = target
        protocol = "HTTP/2.0" if head.http_version == "2" else "HTTP/" + head.http_version
        environ["SERVER_PROTOCOL"] = protocol
        self._fields(head, environ)
        self._server(head, environ)
        self._paths(head, environ)
        if head.variables:
            environ.update(head.variables)
        return environ

    def _fields(self, head: Head, environ: dict[str, Any]) -> None:
        for name, value in head.headers:
            key = _key(name)
            text = value.decode("latin-1")
            if key in environ:
                text = environ[key] + ("; " if name == b"cookie" else ",") + text
            environ[key] = text
        if head.chunked:
            environ.pop("CONTENT_LENGTH", None)

    def _server(self, head: Head, environ: dict[str, Any]) -> None:
        name, port = self._name, self._port
        if self._unix:
            name, port = _host(environ.get("HTTP_HOST", ""), head.scheme)
        environ["SERVER_NAME"], environ["SERVER_PORT"] = name, port

    def _paths(self, head: Head, environ: dict[str, Any]) -> None:
        path = (
            unquote_to_bytes(head.path).decode("latin-1")
            if b"%" in head.path
            else head.path.decode("latin-1")
        )
        script = head.script_name.decode("latin-1").rstrip("/") or self._script_name
        if script and (path == script or path.startswith(script + "/")):
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = script, path[len(script) :]
        else:
            # A prefix that is not this path's would rebuild a URL that nobody asked for.
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = "", path


def _host(field: str, scheme: str) -> tuple[str, str]:
    """Name and port of a Host field; on a Unix socket nothing else tells them."""
    port = "443" if scheme == "https" else "80"
    if field.startswith("["):
        name, _, rest = field.partition("]")
        return (name + "]", rest[1:] or port) if rest.startswith(":") else (name + "]", port)
    name, _, given = field.partition(":")
    return name or "localhost", given or port
