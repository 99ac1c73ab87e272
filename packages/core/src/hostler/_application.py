"""The user's WSGI application with what its worker knows of it: hooks, logs, templates, the file wrapper."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

from hostler._environ import Environs
from hostler._prepared import PreparedHeads

if TYPE_CHECKING:
    from hostler._contexts import WorkerContext
    from hostler._wsgi import Exchange


class FileWrapper:
    """`wsgi.file_wrapper`: blocks of a file that the application opened, by sendfile where that is possible."""

    def __init__(self, filelike: Any, block_size: int = 65536) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.filelike.read(self.block_size)
        if block:
            return block
        raise StopIteration


class Application:
    """A WSGI application with what its worker knows: hooks, logs, templates."""

    __slots__ = (
        "access_wanted",
        "begin",
        "call",
        "context",
        "environs",
        "heads",
        "hooked",
        "sendfile",
        "served",
    )

    def __init__(
        self, context: WorkerContext, call: Callable[..., Iterable[bytes]], *, threaded: bool
    ) -> None:
        self.call = call
        self.context = context
        self.served = context.served
        self.heads = PreparedHeads()
        self.access_wanted = context.log.access_wanted
        settings = context.settings
        self.hooked = settings.pre_request is not None or settings.post_request is not None
        self.begin = _beginning(context, hooked=self.hooked)
        """What is done to a request before the application is called, if anything is."""
        self.sendfile = settings.sendfile is not False
        script_name = os.environ.get("SCRIPT_NAME", "") or settings.root_path
        self.environs = {
            id(listener): Environs(
                address=listener.address,
                unix=listener.unix,
                errors=_error_stream(context),
                multithread=threaded,
                multiprocess=context.multiprocess,
                file_wrapper=FileWrapper,
                script_name=script_name,
            )
            for listener in context.listeners
        }


def _beginning(context: WorkerContext, *, hooked: bool) -> Callable[[Exchange], None] | None:
    """Put what services offer into the `environ`, then call the hook `pre_request`."""
    offers = tuple(getattr(context, "offers", ()))
    if not offers:
        return context.pre_request if hooked else None

    def begin(exchange: Exchange) -> None:
        environ = exchange.environ
        assert environ is not None
        for key, make in offers:
            environ[key] = make(exchange)
        if hooked:
            context.pre_request(exchange)

    return begin


def _error_stream(context: WorkerContext) -> TextIO:
    return cast("TextIO", _ErrorStream(context))


class _ErrorStream(io.TextIOBase):
    """`wsgi.errors`: each line goes to the error log; `flush` ends one that has no end yet."""

    def __init__(self, context: WorkerContext) -> None:
        self._log = context.log.error
        self._begun = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._log.error("%s", line)
        return len(text)

    def flush(self) -> None:
        if self._begun:
            line, self._begun = self._begun, ""
            self._log.error("%s", line)
