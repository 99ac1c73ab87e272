"""What HTTP clients are told when the pool fails: the table of answers, and both middlewares around applications."""

from __future__ import annotations

import asyncio
import io
import logging
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from hostler_dirty import (
    DirtyAppError,
    DirtyAppNotFoundError,
    DirtyCancelledError,
    DirtyClientGoneError,
    DirtyConfigError,
    DirtyConnectionError,
    DirtyError,
    DirtyNoWorkersAvailableError,
    DirtyPayloadTooLargeError,
    DirtyProtocolError,
    DirtyQueueFullError,
    DirtySerializationError,
    DirtyStreamStalledError,
    DirtyTimeoutError,
    DirtyUsageError,
    DirtyWorkerError,
)
from hostler_dirty.middleware import DirtyErrorsASGI, DirtyErrorsWSGI, answer_for

SECRET = "models:Secret at /srv"
ANSWERS = [
    (DirtyQueueFullError(SECRET, 2.2), 503, "3"),
    (DirtyQueueFullError(SECRET), 503, "1"),
    (DirtyNoWorkersAvailableError(SECRET, retry_after=0.4), 503, "1"),
    (DirtyTimeoutError(SECRET, 1.0, "queue"), 503, "1"),
    (DirtyConnectionError(SECRET), 503, "1"),
    (DirtyCancelledError(SECRET), 503, "1"),
    (DirtyTimeoutError(SECRET, 1.0, "run"), 504, None),
    (DirtyTimeoutError(SECRET, 1.0, "stream"), 504, None),
    (DirtyWorkerError(SECRET), 502, None),
    (DirtyClientGoneError(SECRET), 499, None),
]
OTHERS = [
    DirtyAppError(SECRET),
    DirtyAppNotFoundError(SECRET),
    DirtyPayloadTooLargeError(SECRET),
    DirtySerializationError(SECRET),
    DirtyStreamStalledError(SECRET),
    DirtyProtocolError(SECRET),
    DirtyUsageError(SECRET),
    DirtyConfigError(SECRET),
    DirtyError(SECRET),
    ValueError(SECRET),
]


def name(value):
    return f"{type(value).__name__} {getattr(value, 'stage', '')}" if isinstance(value, Exception) else None


@pytest.mark.parametrize(("error", "status", "after"), ANSWERS, ids=name)
def test_answers(error, status, after):
    answer = answer_for(error)
    fields = dict(answer.fields)
    assert answer.status == status
    assert fields.get("Retry-After") == after
    assert fields["Content-Length"] == str(len(answer.body))
    assert SECRET.encode() not in answer.body


@pytest.mark.parametrize("error", OTHERS, ids=name)
def test_errors_of_the_application_are_not_answered(error):
    assert answer_for(error) is None


# -- WSGI ------------------------------------------------------------------------------------------------


class Server:
    """A WSGI server: the head is sent with the first octet of the body (PEP 3333)."""

    def __init__(self):
        self.head = None
        self.sent = []

    def start_response(self, status, fields, exc_info=None):
        if self.sent and exc_info:
            raise exc_info[1]
        assert self.head is None or exc_info
        self.head = (status, fields)
        return self.write

    def write(self, block):
        assert self.head
        self.sent.append(block)

    def run(self, app):
        environ = {
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/x\n", "QUERY_STRING": "", "SERVER_NAME": "x",
            "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.multithread": False,
            "wsgi.multiprocess": False, "wsgi.run_once": False, "wsgi.file_wrapper": FileWrapper,
        }  # fmt: skip
        result = app(environ, self.start_response)
        try:
            for block in result:
                if block:
                    self.write(block)
        finally:
            if hasattr(result, "close"):
                result.close()
        return self


def at_once(start_response):
    raise DirtyQueueFullError(SECRET, 7)


def after_the_start(start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    raise DirtyQueueFullError(SECRET, 7)


def computed(start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b""
    raise DirtyQueueFullError(SECRET, 7)


@pytest.mark.parametrize("handler", [at_once, after_the_start, computed])
def test_wsgi(handler, caplog):
    def app(environ, start_response):
        return handler(start_response)

    with caplog.at_level(logging.DEBUG, "hostler.dirty"):
        server = Server().run(validator(DirtyErrorsWSGI(app)))
    status, fields = server.head
    assert status == "503 Service Unavailable"
    assert dict(fields)["Retry-After"] == "7"
    assert server.sent == [b"Service Unavailable: try again later\n"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"GET '/x\\n': answered with 503: DirtyQueueFullError: {SECRET}"


@pytest.mark.parametrize("by_write", [False, True])
def test_wsgi_when_an_answer_has_begun(by_write):
    closed = []

    class Body:
        def __init__(self, write):
            self._write = write
            self._count = 0

        def __iter__(self):
            return self

        def __next__(self):
            self._count += 1
            if self._count > 1:
                raise DirtyWorkerError(SECRET)
            if by_write:
                self._write(b"begun")
                return b""
            return b"begun"

        def close(self):
            closed.append(True)

    def app(environ, start_response):
        return Body(start_response("200 OK", [("Content-Type", "text/plain")]))

    server = Server()
    with pytest.raises(DirtyWorkerError):
        server.run(DirtyErrorsWSGI(app))
    assert server.head[0] == "200 OK"
    assert server.sent == [b"begun"]
    assert closed == [True]


@pytest.mark.parametrize("error", [DirtyAppError(SECRET), ValueError(SECRET)], ids=name)
def test_wsgi_leaves_other_errors(error):
    def app(environ, start_response):
        raise error

    def computing(environ, start_response):
        yield b""
        raise error

    for one in (app, computing):
        with pytest.raises(type(error)):
            Server().run(DirtyErrorsWSGI(one))


def test_wsgi_leaves_answers_as_they_are():
    """A server knows a list and its own file wrapper by their types."""

    def listed(environ, start_response):
        start_response("200 OK", [])
        return [b"a", b"b"]

    file = FileWrapper(io.BytesIO(b"file"))

    def filed(environ, start_response):
        start_response("200 OK", [])
        return file

    assert Server().run(DirtyErrorsWSGI(listed)).sent == [b"a", b"b"]
    assert Server().run(DirtyErrorsWSGI(filed)).sent == [b"file"]
    environ = {"wsgi.file_wrapper": FileWrapper}
    assert DirtyErrorsWSGI(filed)(environ, Server().start_response) is file


# -- ASGI ------------------------------------------------------------------------------------------------

START = {"type": "http.response.start", "status": 200, "headers": []}


class Group(Exception):
    """What a task group raises, before Python 3.11 too."""

    def __init__(self, *exceptions):
        super().__init__("a group")
        self.exceptions = exceptions


def run(app, kind="http"):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(DirtyErrorsASGI(app)({"type": kind, "method": "GET", "path": "/x"}, None, send))
    return sent


@pytest.mark.parametrize(
    "error", [DirtyQueueFullError(SECRET, 7), Group(Group(DirtyQueueFullError(SECRET, 7)))]
)
def test_asgi(error, caplog):
    async def app(scope, receive, send):
        raise error

    start, body = run(app)
    assert (start["type"], start["status"]) == ("http.response.start", 503)
    assert (b"retry-after", b"7") in start["headers"]
    assert body == {"type": "http.response.body", "body": b"Service Unavailable: try again later\n"}
    assert caplog.records[0].getMessage() == f"GET '/x': answered with 503: DirtyQueueFullError: {SECRET}"


def test_who_left_is_told_to_who_debugs(caplog):
    async def app(scope, receive, send):
        raise DirtyClientGoneError

    with caplog.at_level(logging.DEBUG, "hostler.dirty"):
        assert run(app)[0]["status"] == 499
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


@pytest.mark.parametrize(
    "error",
    [DirtyAppError(SECRET), ValueError(SECRET), Group(DirtyQueueFullError(SECRET), ValueError(SECRET))],
    ids=name,
)
def test_asgi_leaves_other_errors(error):
    async def app(scope, receive, send):
        raise error

    with pytest.raises(type(error)):
        run(app)


def test_asgi_when_an_answer_has_begun():
    async def app(scope, receive, send):
        await send(START)
        raise DirtyQueueFullError(SECRET)

    with pytest.raises(DirtyQueueFullError):
        run(app)


def test_asgi_leaves_what_is_not_http():
    async def app(scope, receive, send):
        raise DirtyQueueFullError(SECRET)

    with pytest.raises(DirtyQueueFullError):
        run(app, "websocket")
