"""What an HTTP client is told when the pool fails it: `answer_for`, and middleware that applies it.

    app = DirtyErrorsWSGI(app)          # or DirtyErrorsASGI(app)

| error | answer | why |
|---|---|---|
| DirtyQueueFullError, DirtyNoWorkersAvailableError | 503, Retry-After | never executed: it may be tried again |
| DirtyTimeoutError, stage "queue" | 503, Retry-After | the same |
| DirtyConnectionError, DirtyCancelledError | 503, Retry-After | the pool is being replaced, or stops |
| DirtyTimeoutError, other stages | 504 | it was executed, in part; nothing says that trying again would help |
| DirtyWorkerError | 502 | the worker died in it; the call may have had effects, so nobody is invited to repeat it |
| DirtyClientGoneError | 499 | nobody reads it; the access log tells (nginx's number) |

All others are errors of the application: they go on to whoever handles those. No answer tells more than its status.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any, NamedTuple

from hostler_dirty.errors import (
    DirtyAppError,
    DirtyCancelledError,
    DirtyClientGoneError,
    DirtyConnectionError,
    DirtyError,
    DirtyNoWorkersAvailableError,
    DirtyQueueFullError,
    DirtyTimeoutError,
    DirtyWorkerError,
)

logger = logging.getLogger("hostler.dirty")

RETRY_AFTER = 1.0
"""Seconds, where the error names none."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
StartResponse = Callable[..., Any]


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes


def answer_for(error: BaseException) -> Answer | None:
    """What to answer when this error was not caught; None: it is not for this module.

    For the error handlers of frameworks, which catch what their views raise before a middleware sees it.
    """
    if not isinstance(error, DirtyError) or isinstance(error, DirtyAppError):
        return None
    if isinstance(error, DirtyClientGoneError):
        return _answer(499, "Client Closed Request", "the client has left")
    if isinstance(error, DirtyWorkerError):
        return _answer(502, "Bad Gateway", "the request could not be completed")
    if isinstance(error, DirtyTimeoutError) and error.stage != "queue":
        return _answer(504, "Gateway Timeout", "the request took too long")
    if isinstance(
        error,
        (
            DirtyQueueFullError,
            DirtyNoWorkersAvailableError,
            DirtyTimeoutError,
            DirtyConnectionError,
            DirtyCancelledError,
        ),
    ):
        after = getattr(error, "retry_after", None)
        return _answer(503, "Service Unavailable", "try again later", after or RETRY_AFTER)
    return None


def _answer(status: int, reason: str, text: str, retry_after: float = 0.0) -> Answer:
    body = f"{reason}: {text}\n".encode()
    fields = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    if retry_after:
        fields.append(("Retry-After", str(math.ceil(retry_after))))
    return Answer(status, reason, fields, body)


def _found(error: BaseException) -> tuple[BaseException, Answer | None]:
    """The error and its answer, also where a task group has put it into a group of its own."""
    inner = getattr(error, "exceptions", None)
    while isinstance(inner, tuple) and len(inner) == 1:
        error = inner[0]
        inner = getattr(error, "exceptions", None)
    return error, answer_for(error)


def _tell(method: str, path: str, answer: Answer, error: BaseException) -> None:
    level = logging.DEBUG if answer.status == 499 else logging.WARNING
    logger.log(
        level,
        "%s %s: answered with %d: %s: %s",
        method,
        ascii(path),
        answer.status,
        type(error).__name__,
        error,
    )


class DirtyErrorsWSGI:
    """A WSGI application (PEP 3333) whose uncaught errors of the pool become answers, while none has begun."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            result = self._app(environ, start_response)
        except DirtyError:
            return _answered(environ, start_response)
        if isinstance(result, (list, tuple)):
            return result  # nothing of it is still to be computed
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(result, wrapper):
            return result  # the server knows it by its type
        return _Guarded(result, environ, start_response)


def _answered(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
    """Answer for the exception that is being handled; it is raised again if an answer has begun, or is not ours."""
    error, answer = _found(sys.exc_info()[1])  # type: ignore[arg-type]
    if answer is None:
        raise
    start_response(f"{answer.status} {answer.reason}", answer.fields, sys.exc_info())
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    _tell(environ.get("REQUEST_METHOD", ""), path, answer, error)
    return [answer.body]


class _Guarded:
    """An iterable that the application computes while it is being sent."""

    def __init__(
        self, result: Iterable[bytes], environ: dict[str, Any], start_response: StartResponse
    ) -> None:
        self._result = result
        self._blocks: Iterator[bytes] | None = None
        self._environ, self._start_response = environ, start_response

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._blocks is None:
                self._blocks = iter(self._result)
            return next(self._blocks)
        except DirtyError:
            blocks = _answered(self._environ, self._start_response)
            self._blocks = iter(())
            return blocks[0]

    def close(self) -> None:
        close = getattr(self._result, "close", None)
        if close is not None:
            close()


class DirtyErrorsASGI:
    """An ASGI application whose uncaught errors of the pool become answers, while none has begun."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as raised:
            error, answer = _found(raised)
            if begun or answer is None:
                raise
            _tell(scope["method"], scope["path"], answer, error)
            fields = [(name.lower().encode(), value.encode()) for name, value in answer.fields]
            await send({"type": "http.response.start", "status": answer.status, "headers": fields})
            await send({"type": "http.response.body", "body": answer.body})
