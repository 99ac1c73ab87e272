"""The WSGI adapter (PEP 3333): one request, its application call and its answer.

An exchange can be left and entered again: when the reader is slow it returns with its iterator kept, and
whoever drives it calls `run` again once the reader has caught up. It writes to a channel and knows no socket.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from hostler._application import Application, FileWrapper
from hostler._input import AwaitedInput, Body
from hostler._prepared import Prepared
from hostler.http import Head, Headers, ResponseError

if TYPE_CHECKING:
    from hostler._channel import Channel

HIGH_WATER = 1 << 20
"""Octets that may wait for a slow reader before its exchange is left until most of them are gone."""


class Exchange:
    """One request and its answer. Also the line that the access log reads (`AccessLine`)."""

    __slots__ = (
        "_application",
        "_chunks",
        "_headers",
        "_prepared",
        "_started",
        "_trailers",
        "_written",
        "body",
        "channel",
        "environ",
        "finished",
        "head",
        "lost",
        "seconds",
        "sent",
        "started",
        "stream",
    )

    def __init__(self, application: Application, channel: Channel, stream: int, head: Head) -> None:
        self._application = application
        self.channel = channel
        self.stream = stream
        self.head = head
        self.body: Body | None = None
        self.environ: dict[str, Any] | None = None
        self._prepared: Prepared | None = None
        self._headers: list[tuple[str, str]] = []
        self._chunks: Iterator[bytes] | None = None
        self._written: Any = None  # the iterable as the application returned it, for its close()
        self._trailers: Headers = ()
        self._started = False
        self.finished = False
        self.lost = False
        """The connection said that this request will get no further (reset, deadline)."""
        self.sent = 0
        self.started = 0.0
        self.seconds = 0.0

    # -- what the access log reads ---------------------------------------------------------------------

    @property
    def status(self) -> int:
        """The final status; 500 when the application gave none."""
        return self._prepared.status if self._prepared is not None else 500

    @property
    def reason(self) -> str:
        """The reason phrase."""
        return (
            self._prepared.reason.decode("latin-1") if self._prepared is not None else "Internal Server Error"
        )

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The application's response fields."""
        return self._headers

    @property
    def peer(self) -> tuple[str, int] | None:
        """The client: a trusted proxy's word, or the socket's peer."""
        return self.head.client or self.channel.transport.peer

    def departed(self) -> bool:
        """Whether nobody waits for the answer any more: its stream was reset, its client closed the connection.

        May be asked in any thread. A client that has only said that it will send no more counts as one that left.
        """
        return self.lost or self.channel.ended()

    # -- the application's side ------------------------------------------------------------------------

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """PEP 3333: remember the head; nothing is sent before the first octet of the body."""
        if exc_info is not None:
            try:
                if self._started:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._prepared is not None:
            raise AssertionError("start_response was called a second time without exc_info")
        self._prepared = self._application.heads.get(status, headers)
        self._headers = headers
        return self.write

    def write(self, block: bytes) -> None:
        """The callable that `start_response` returns."""
        if not isinstance(block, bytes):
            raise TypeError(f"the body must be bytes, not {type(block).__name__}")
        if not block:
            return
        self._send(block, None)
        if self.channel.held_back(self.stream) > HIGH_WATER:
            self.channel.driver.wait_for_reader(self)

    def early_hints(self, headers: list[tuple[str, str]]) -> None:
        """`environ["wsgi.early_hints"]`: send 103 with these fields; nothing on HTTP/1.0 or after the head."""
        if self._started:
            return
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        with self.channel.lock:
            self.channel.connection.inform(self.stream, 103, fields)
            self.channel.flush()

    def send_trailers(self, headers: list[tuple[str, str]]) -> None:
        """`environ["hostler.send_trailers"]`: fields behind the body, for clients that said `TE: trailers`."""
        self._trailers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)

    # -- the driver's side -----------------------------------------------------------------------------

    def run(self) -> bool:
        """Call the application and send its answer. False: the reader is slow, call again when it caught up."""
        try:
            if self._chunks is None and self._written is None and self._begin():
                self._finish()
                return True
            if not self._iterate():
                return False
        except BaseException:  # noqa: BLE001 - the wall around the application: SystemExit costs a 500, no worker
            self._fail()
        self._finish()
        return True

    def refuse(self, status: int, reason: str, headers: list[tuple[str, str]]) -> None:
        """Answer without calling the application (no room for it)."""
        self._answer(status, reason, headers, f"{reason}\n".encode("latin-1"))
        self._finish()

    def abandon(self) -> None:
        """The client is gone and `run` will not be called again: release what the application gave."""
        if not self.finished:
            self._finish()

    def _begin(self) -> bool:
        """Run the application up to its iterable; True when the whole answer is queued already."""
        application, channel, head = self._application, self.channel, self.head
        if application.access_wanted:
            self.started = time.monotonic()
        basis = head.basis
        if basis is None:
            basis = head.basis = application.environs[id(channel.listener)].make(head)
        environ: dict[str, Any] = basis.copy()
        self.environ = environ
        if not head.variables:
            remote = channel.remote or channel.name_peer()
            if head.client is not None:
                remote = head.client[0], str(head.client[1] or "")
            environ["REMOTE_ADDR"], port = remote
            if port:
                environ["REMOTE_PORT"] = port
        environ["wsgi.input"] = io.BytesIO() if self.body is None else self._input(self.body)
        environ["wsgi.early_hints"] = self.early_hints
        if head.trailers_welcome:
            environ["hostler.send_trailers"] = self.send_trailers
        if channel.extra is not None:
            environ.update(channel.extra)
        if application.begin is not None:
            application.begin(self)
        result = application.call(environ, self.start_response)
        self._written = result
        if (type(result) is list or type(result) is tuple) and len(result) == 1 and not self._started:
            block = result[0]
            if type(block) is bytes:
                self._whole(block)
                return True
        if type(result) is FileWrapper and self._beside(result):
            return True
        self._chunks = iter(result)
        return False

    def _whole(self, block: bytes) -> None:
        """A body of one block: its length is known, and all of it leaves in one write."""
        prepared = self._prepared
        if prepared is None:
            raise ResponseError("the application returned without calling start_response")
        channel, lock = self.channel, self.channel.lock
        lock.acquire()
        try:
            channel.connection.respond(
                self.stream, prepared.status, prepared.headers, block, prepared.reason, self._trailers
            )
        finally:
            lock.release()
        self._started = True
        self.sent = len(block)
        if prepared.length is not None and prepared.length != len(block):
            self._mind_length(prepared.length)

    def _iterate(self) -> bool:
        """Send block after block; False when the reader has too much waiting."""
        chunks, channel = self._chunks, self.channel
        assert chunks is not None
        only = _length_of(self._written) == 1
        for block in chunks:
            if channel.gone or self.lost:
                with channel.lock:
                    channel.connection.abort(self.stream)
                return True
            if not isinstance(block, bytes):
                raise TypeError(f"the body must be bytes, not {type(block).__name__}")
            if not block:
                continue
            self._send(block, len(block) if only else None)
            if channel.held_back(self.stream) > HIGH_WATER and channel.park(self):
                return False
        if not self._started:
            self._send(b"", 0)
        if self._prepared is not None and self._prepared.length is not None:
            self._mind_length(self._prepared.length)
        with channel.lock:
            channel.connection.end(self.stream, self._trailers)
        return True

    def _send(self, block: bytes, length: int | None) -> None:
        channel = self.channel
        prepared = self._prepared
        if prepared is None:
            raise ResponseError("the application gave a body before it called start_response")
        with channel.lock:
            if not self._started:
                if prepared.length is not None:
                    length = None
                channel.connection.start(
                    self.stream, prepared.status, prepared.headers, length=length, reason=prepared.reason
                )
                self._started = True
            if block:
                channel.connection.data(self.stream, block)
                self.sent += len(block)
                channel.flush()

    def _mind_length(self, length: int) -> None:
        """Say that the application's Content-Length was not its body's; framing is the connection's matter."""
        head = self.head
        if head.method == "HEAD" or (self._prepared is not None and self._prepared.bodiless):
            return
        if self.sent != length and not (self.channel.gone or self.lost):
            verb = "cut" if self.sent > length else "left short"
            self._application.context.log.error.warning(
                "%s %s: Content-Length is %d but the body has %d octets; the answer was %s",
                head.method,
                head.path.decode("latin-1", "replace"),
                length,
                self.sent,
                verb,
            )
        if self.sent > length:
            self.sent = length

    def _beside(self, wrapper: FileWrapper) -> bool:
        """Send a regular file by sendfile; False when it must be read and written instead."""
        prepared = self._prepared
        if prepared is None or self._started or not self._application.sendfile:
            return False
        try:
            descriptor = wrapper.filelike.fileno()
            status = os.fstat(descriptor)
            offset = wrapper.filelike.tell()
        except (AttributeError, OSError):
            return False
        if not stat.S_ISREG(status.st_mode):
            return False
        count = max(0, status.st_size - offset)
        if prepared.length is not None:
            count = min(count, prepared.length)
        channel = self.channel
        with channel.lock:
            channel.connection.start(
                self.stream,
                prepared.status,
                prepared.headers,
                length=None if prepared.length is not None else count,
                reason=prepared.reason,
            )
            self._started = True
            if count and channel.beside(self.stream, descriptor, offset, count):
                self.sent = count
                channel.connection.end(self.stream)
                return True
        return False

    def _close_written(self) -> None:
        close = getattr(self._written, "close", None)
        if close is not None:
            try:
                close()
            except Exception:  # noqa: BLE001 - the wall around the application
                self._application.context.log.error.exception("Error in close() of a response")

    def _input(self, body: Body) -> Any:
        """What `wsgi.input` is for a request with a body."""
        if self.head.expects_continue and not body.complete:
            return AwaitedInput(body, self._await_body)
        return body.open()

    def _await_body(self) -> None:
        self.channel.proceed(self.stream)
        self.channel.driver.wait_for_body(self)

    def _fail(self) -> None:
        """The application raised: a 500 when nothing was sent, a visibly broken answer when something was."""
        head, channel = self.head, self.channel
        lost = channel.gone or self.lost or (_is_abort(sys.exc_info()[1]) and self.departed())
        log = self._application.context.log.error
        if lost:
            log.debug("request %s %r ended with its client gone", head.method, head.target, exc_info=True)
        else:
            log.exception(
                "Error handling request %s %s", head.method, head.target.decode("latin-1", "replace")
            )
        if self._started:
            with channel.lock:
                channel.connection.abort(self.stream)
        else:
            self._answer(500, "Internal Server Error", [], b"Internal Server Error\n")

    def _answer(self, status: int, reason: str, headers: list[tuple[str, str]], body: bytes) -> None:
        fields = [("Content-Type", "text/plain; charset=utf-8"), *headers]
        prepared = self._prepared = self._application.heads.get(f"{status} {reason}", fields)
        self._headers = fields
        self._started = True
        self.sent = len(body)
        with self.channel.lock:
            self.channel.connection.respond(self.stream, status, prepared.headers, body, prepared.reason)

    def _finish(self) -> None:
        """Close what the application gave, tell the hook, the log and the counter, exactly once."""
        if self.finished:
            return
        self.finished = True
        application = self._application
        if type(self._written) is not list:
            self._close_written()
        self._chunks = None
        if application.access_wanted:
            self.seconds = time.monotonic() - self.started
            application.context.log.access(self)
        if application.hooked:
            application.context.post_request(self, self.environ, self)
        if self.body is not None:
            self.body.close()
        # It holds methods of this exchange: a cycle would leave everything to the collector.
        self.environ = None
        application.served()
        self.channel.answered(self)


def _is_abort(error: BaseException | None) -> bool:
    """What a service's client raises, among others, when it saw that nobody waits for its result."""
    return isinstance(error, ConnectionAbortedError)


def _length_of(iterable: Any) -> int | None:
    """PEP 3333 lets a server ask an iterable for its length, to learn that it has one item."""
    try:
        return len(iterable)
    except (TypeError, AttributeError):
        return None
