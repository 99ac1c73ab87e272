"""The client in a request: `environ["hostler.dirty"]`, `scope["extensions"]["hostler.dirty"]`.

It is bound to the request that it was made for: its calls carry the request's trace fields, keep within the time
that the request has, and end when its client leaves. It knows a request as the core shows it, and no connection.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hostler_dirty._calling import DEFAULT, Options
from hostler_dirty.client import DirtyClient, get_dirty_client
from hostler_dirty.errors import DirtyClientGoneError, DirtyTimeoutError

if TYPE_CHECKING:
    from hostler.plugin import Head, RequestView, WorkerContext

    from hostler_dirty._blocking import DirtyStream

KEY = "hostler.dirty"
TRACE = frozenset((b"traceparent", b"tracestate", b"baggage"))
"""Fields of W3C Trace Context and W3C Baggage."""


def offer(ctx: WorkerContext) -> dict[str, Callable[[RequestView], Any]]:
    """What an HTTP worker puts into each request."""
    del ctx
    return {KEY: RequestClient}


class Binding:
    """What all calls of one request share."""

    __slots__ = ("_trace", "_view", "until")

    def __init__(self, view: RequestView) -> None:
        self._view = view
        self._trace = trace_of(view.head)
        self.until = 0.0
        """The end of the request's time, time.monotonic(); 0: there is none."""

    def apply(self, options: Options) -> Options:
        """The options of a call made now. Raises DirtyClientGoneError, DirtyTimeoutError."""
        if self._view.departed():
            raise DirtyClientGoneError
        timeout = options.timeout
        if self.until:
            left = self.until - time.monotonic()
            if left <= 0:
                raise DirtyTimeoutError("The request's time is over", 0.0, "queue")
            timeout = min(timeout, left) if timeout else left
        trace = options.trace or self._trace
        return dataclasses.replace(options, timeout=timeout, trace=trace, left=self._view.departed)


class RequestClient(DirtyClient):
    """Calls into the pool for one request. A call whose client leaves raises DirtyClientGoneError.

    It is cancelled: in the queue it is never executed, a running one is interrupted, a stream's generator closed.
    For work that is to be finished whoever waits, there is `get_dirty_client`.
    """

    def __init__(self, view: RequestView, options: Options = DEFAULT, binding: Binding | None = None) -> None:
        super().__init__(options)
        self._view = view
        self._binding = binding

    def within(self, seconds: float) -> RequestClient:
        """Give the request so many seconds from now, for all its calls together; a later word only shortens it."""
        until, binding = time.monotonic() + seconds, self._bind()
        binding.until = min(binding.until or until, until)
        return self

    def departed(self) -> bool:
        """Whether the client has left."""
        return self._view.departed()

    def options(self, **changes: Any) -> RequestClient:
        """As `DirtyClient.options`; bound to the same request."""
        return RequestClient(self._view, dataclasses.replace(self._options, **changes), self._bind())

    def execute(self, app_path: str, action: str, /, *args: Any, **kwargs: Any) -> Any:
        """As `DirtyClient.execute`. Raises DirtyClientGoneError as well."""
        return self._now().execute(app_path, action, *args, **kwargs)

    def stream(self, app_path: str, action: str, /, *args: Any, **kwargs: Any) -> DirtyStream:
        """As `DirtyClient.stream`. Its iteration raises DirtyClientGoneError as well."""
        return self._now().stream(app_path, action, *args, **kwargs)

    async def execute_async(self, app_path: str, action: str, /, *args: Any, **kwargs: Any) -> Any:
        """As `DirtyClient.execute_async`. Raises DirtyClientGoneError as well."""
        from hostler_dirty._leaving import Leaving  # noqa: PLC0415  (WSGI workers do without asyncio)

        with Leaving(self._view):
            return await self._now().execute_async(app_path, action, *args, **kwargs)

    def stream_async(self, app_path: str, action: str, /, *args: Any, **kwargs: Any) -> Any:
        """As `DirtyClient.stream_async`. Its iteration raises DirtyClientGoneError as well."""
        from hostler_dirty._leaving import LeavingStream  # noqa: PLC0415

        return LeavingStream(self._now().stream_async(app_path, action, *args, **kwargs), self._view)

    def _bind(self) -> Binding:
        binding = self._binding
        if binding is None:
            binding = self._binding = Binding(self._view)
        return binding

    def _now(self) -> DirtyClient:
        return DirtyClient(self._bind().apply(self._options))


def get_request_client(request: Mapping[str, Any]) -> DirtyClient:
    """The client of a WSGI `environ` or an ASGI `scope`; one that is bound to nothing where no server put any."""
    found = request.get(KEY) or (request.get("extensions") or {}).get(KEY)
    return found if isinstance(found, DirtyClient) else get_dirty_client()


def trace_of(head: Head) -> dict[str, str] | None:
    """The trace fields of a request; None without any.

    A `traceparent` that stands twice is none, and `tracestate` says nothing without it (W3C Trace Context 3.2, 3.3).
    """
    found: dict[str, str] = {}
    for name, value in head.headers:
        if name in TRACE:
            key, text = name.decode(), value.decode("latin-1")
            found[key] = f"{found[key]},{text}" if key in found else text
    if "," in found.get("traceparent", ","):
        found.pop("traceparent", None)
        found.pop("tracestate", None)
    return found or None
