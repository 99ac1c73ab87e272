"""One request, from the thread that carries it to the application in the loop, and its answer on the way back.

Messages of the application cross one at a time: `send` returns once the thread has taken the message, which it
does when the reader can take more. So a slow reader holds its application, and nobody else.
"""

from __future__ import annotations

import asyncio
import http
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from hostler.drive import Exchange

BLOCK = 65536
Message = dict[str, Any]


class Bridge:
    """A WSGI application that is an ASGI one."""

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop, state: dict[str, Any], root: str) -> None:
        self.current = threading.local()
        """Its `exchange`: the one that this thread runs. An environ has lost the order of the fields."""
        self._app, self._loop, self._state, self._root = app, loop, state, root

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Begin the application's coroutine and return its blocks."""
        exchange: Exchange = self.current.exchange
        call = Call(self._loop, environ)
        call.begin(self._app(self._scope(exchange, environ), call.receive, call.send))
        head = call.next()
        while head["type"] == "http.response.early_hint":
            environ["wsgi.early_hints"]([("Link", link.decode("latin-1")) for link in head["links"]])
            head = call.next()
        if head["type"] != "http.response.start":
            raise ValueError(f"{head['type']} came before the response was started")
        first = call.next()
        status = int(head["status"])
        phrase = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else "Unknown"
        fields = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in head.get("headers", ())
        ]
        framing = ("transfer-encoding", "connection")  # the server's affair
        start_response(f"{status} {phrase}", [pair for pair in fields if pair[0].lower() not in framing])
        if not first.get("more_body", False):
            call.finish()
            return [first.get("body", b"")]
        return call.blocks(first)

    def _scope(self, exchange: Exchange, environ: dict[str, Any]) -> dict[str, Any]:
        head = exchange.head
        path = unquote_to_bytes(head.path).decode("utf-8", "replace")
        below = not self._root or path == self._root or path.startswith(f"{self._root}/")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.http_version,
            "method": head.method,
            "scheme": head.scheme,
            "path": path if below else self._root + path,
            "raw_path": head.path,
            "query_string": head.query,
            "root_path": self._root,
            "headers": list(head.headers),
            "client": exchange.peer,
            "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"] or 0)),
            "state": self._state.copy(),
            "extensions": {"http.response.early_hint": {}},
        }


class Call:
    """What passes between one thread and one coroutine."""

    def __init__(self, loop: asyncio.AbstractEventLoop, environ: dict[str, Any]) -> None:
        self._loop = loop
        self._input = environ["wsgi.input"]
        self._read = False
        self._over = asyncio.Event()
        self._messages: queue.SimpleQueue[tuple[Message | BaseException, asyncio.Future[None] | None]]
        self._messages = queue.SimpleQueue()
        self._future: Any = None

    # -- in the loop -------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """Blocks of the body, then `http.disconnect` once all is over."""
        if not self._read:
            try:
                block = await self._loop.run_in_executor(None, self._input.read, BLOCK)
            except OSError:
                self._over.set()  # the body was cut short
            else:
                self._read = len(block) < BLOCK
                return {"type": "http.request", "body": block, "more_body": not self._read}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Hand a message to the thread and wait until it is taken."""
        taken = self._loop.create_future()
        self._messages.put((message, taken))
        await taken

    async def _run(self, coroutine: Any) -> None:
        try:
            await coroutine
            self._messages.put(
                (RuntimeError("the application returned before its response was complete"), None)
            )
        except BaseException as error:
            self._messages.put((error, None))
            if not isinstance(error, Exception):
                raise
        finally:
            self._over.set()

    # -- in the thread -----------------------------------------------------------------------------------

    def begin(self, coroutine: Any) -> None:
        """Run it in the loop."""
        self._future = asyncio.run_coroutine_threadsafe(self._run(coroutine), self._loop)

    def next(self) -> Message:
        """The application's next message; raises what the application raised."""
        message, taken = self._messages.get()
        if isinstance(message, BaseException):
            raise message
        if taken is not None:
            self._loop.call_soon_threadsafe(_release, taken)
        return message

    def blocks(self, message: Message) -> Iterator[bytes]:
        """The blocks of a body; whoever closes this iterator has no reader any more."""
        try:
            while True:
                yield message.get("body", b"")
                if not message.get("more_body", False):
                    break
                message = self.next()
        except GeneratorExit:
            self._future.cancel()
            raise
        else:
            self.finish()

    def finish(self) -> None:
        """The response is complete; the application may go on with what it does after it."""
        self._loop.call_soon_threadsafe(self._over.set)


def _release(taken: asyncio.Future[None]) -> None:
    if not taken.done():
        taken.set_result(None)
