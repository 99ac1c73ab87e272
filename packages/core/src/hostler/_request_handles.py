"""What the hooks `pre_request` and `post_request` get: objects with the attributes that gunicorn's users know.

Made from the server's own request and answer, of any protocol, and only when there is such a hook.
"""

from __future__ import annotations

from typing import Any

from hostler._contexts import AccessLine

MOST = 4096
"""Requests in service whose handles are kept for `post_request`."""


class RequestHandle:
    """A request. Hooks may set attributes of their own on it, to read them after the response."""

    def __init__(self, line: AccessLine) -> None:
        head = line.head
        self.method = head.method
        self.path = head.path.decode("latin-1")
        self.query = head.query.decode("latin-1")
        self.uri = head.target.decode("latin-1")
        self.fragment = ""
        major, _, minor = head.http_version.partition(".")
        self.version = (int(major), int(minor or 0))
        self.headers = [
            (name.decode("latin-1").upper(), value.decode("latin-1")) for name, value in head.headers
        ]
        self.scheme = head.scheme
        self.remote_addr = head.client or line.peer
        self.peer_addr = line.peer
        self.trailers: list[tuple[str, str]] = []


class ResponseHandle:
    """An answer that was given."""

    __slots__ = ("headers", "headers_sent", "response_length", "sent", "status", "status_code")

    def __init__(self, line: AccessLine) -> None:
        self.status_code = line.status
        self.status = f"{line.status} {line.reason}"
        self.headers = list(line.headers)
        self.headers_sent = True
        self.sent = self.response_length = line.sent


class RequestHandles:
    """The handles of requests in service, so that both hooks get the same one."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[int, RequestHandle] = {}

    def begin(self, line: Any, *, keep: bool) -> RequestHandle:
        """A request begins; `keep` its handle for its end."""
        handle = RequestHandle(line)
        if keep:
            self._kept[id(line)] = handle
        if len(self._kept) > MOST:
            # Some never end in a response (tunnels): the oldest are forgotten.
            del self._kept[next(iter(self._kept))]
        return handle

    def end(self, line: Any) -> RequestHandle:
        """Its response is over."""
        return self._kept.pop(id(line), None) or RequestHandle(line)
