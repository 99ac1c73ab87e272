"""The floor for a WSGI server in Python: epoll, llhttp, an environ and the application, and nothing else.

    python benchmarks/bare_loop.py MODULE:CALLABLE PORT

No server: it has no limits, no deadlines, no log, no trust rules and no error answers, and a client that breaks the
protocol only loses its connection. What hostler costs more than this is what those cost.
"""

from __future__ import annotations

import importlib
import io
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

READ, WRITE = select.EPOLLIN, select.EPOLLIN | select.EPOLLOUT
RECEIVE = 65536
Environ = dict[str, Any]


class Loop:
    """One listener and its connections."""

    def __init__(self, application: Callable[..., Iterable[bytes]], port: int) -> None:
        self.application = application
        self.listener = socket.create_server(("127.0.0.1", port), backlog=2048)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, READ)
        self.connections: dict[int, Connection] = {}
        self.keys: dict[bytes, str] = {b"Content-Type": "CONTENT_TYPE", b"Content-Length": "CONTENT_LENGTH"}
        self.second = 0
        self.prelude = b""
        self.base: Environ = {
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(port),
            "SCRIPT_NAME": "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }

    def run(self) -> None:
        """Serve until the process is ended."""
        listener, connections, poll = self.listener.fileno(), self.connections, self.epoll.poll
        while True:
            for descriptor, events in poll(None, 128):
                if descriptor == listener:
                    self.accept()
                elif (connection := connections.get(descriptor)) is not None:
                    if events & select.EPOLLOUT:
                        connection.flush()
                    else:
                        connection.readable()

    def accept(self) -> None:
        """Take every connection that waits."""
        with suppress(BlockingIOError):
            while True:
                accepted, peer = self.listener.accept()
                accepted.setblocking(False)
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections[accepted.fileno()] = Connection(self, accepted, peer)
                self.epoll.register(accepted, READ)

    def key(self, name: bytes) -> str:
        """The environ's name of a field, made once."""
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        key = key[5:] if key in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH") else key
        self.keys[name] = key
        return key

    def dated(self) -> bytes:
        """What every head begins with after its status, made once a second."""
        now = int(time.time())
        if now != self.second:
            self.second = now
            stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
            self.prelude = f"\r\nServer: bare-loop\r\nDate: {stamp}\r\n".encode()
        return self.prelude


class Connection:
    """One client: its parser, the request that comes in, and what could not be sent yet."""

    def __init__(self, loop: Loop, accepted: socket.socket, peer: tuple[str, int]) -> None:
        self.loop, self.socket, self.base = loop, accepted, loop.base
        self.peer = (peer[0], str(peer[1]))
        self.parser = httptools.HttpRequestParser(self)
        self.environ: Environ = {}
        self.target = b""
        self.body: list[bytes] = []
        self.waiting: memoryview | None = None
        self.rest: Iterator[bytes] | None = None
        self.framed = False  # whether the rest leaves in chunks
        self.last = False

    # -- what the parser calls ---------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.environ = self.base.copy()
        self.target = b""
        if self.body:
            self.body = []

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        loop, environ = self.loop, self.environ
        key = loop.keys.get(name) or loop.key(name)
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        environ, parser = self.environ, self.parser
        path, _, query = self.target.partition(b"?")
        if b"%" in path:
            path = unquote_to_bytes(path)
        environ["REQUEST_METHOD"] = parser.get_method().decode("latin-1")
        environ["PATH_INFO"] = path.decode("latin-1")
        environ["QUERY_STRING"] = query.decode("latin-1")
        environ["SERVER_PROTOCOL"] = f"HTTP/{parser.get_http_version()}"
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = self.peer
        environ["wsgi.input"] = io.BytesIO(b"".join(self.body))
        self.last = not parser.should_keep_alive()
        self.answer(self.loop.application(environ, self.start_response))

    # -- the answer --------------------------------------------------------------------------------------

    def start_response(self, status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> None:
        self.status, self.fields = status, fields

    def answer(self, body: Iterable[bytes]) -> None:
        """Head and body in one call where the body is one piece, else the pieces one by one."""
        head = [b"HTTP/1.1 ", self.status.encode("latin-1"), self.loop.dated()]
        sized = False
        for name, value in self.fields:
            sized = sized or name.lower() == "content-length"
            head.append(f"{name}: {value}\r\n".encode("latin-1"))
        if self.last:
            head.append(b"Connection: close\r\n")
        if isinstance(body, list) and len(body) == 1 and sized:
            head += (b"\r\n", body[0])
            if len(body[0]) > RECEIVE:
                self.send(b"".join(head[:-1]), body[0])
            else:
                self.send(b"".join(head))
        else:
            self.framed = not sized
            head.append(b"\r\n" if sized else b"Transfer-Encoding: chunked\r\n\r\n")
            self.rest = iter(body)
            self.send(b"".join(head))
            self.more()
        if self.last and self.waiting is None:
            self.close()

    def more(self) -> None:
        """Send pieces until there is none left or the socket is full."""
        while self.rest is not None and self.waiting is None:
            piece = next(self.rest, None)
            if piece is None:
                self.rest = None
                if self.framed:
                    self.send(b"0\r\n\r\n")
            else:
                self.send(b"%x\r\n%b\r\n" % (len(piece), piece) if self.framed else piece)

    def send(self, data: bytes, large: bytes = b"") -> None:
        """Send now; keep what the socket does not take."""
        if self.waiting is not None:  # a pipelined request's answer behind one that waits
            self.waiting = memoryview(b"".join((self.waiting, data, large)))
            return
        try:
            sent = self.socket.sendmsg((data, large)) if large else self.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data) + len(large):
            kept = memoryview(large)[sent - len(data) :] if sent >= len(data) else data[sent:] + large
            self.waiting = memoryview(kept)
            self.loop.epoll.modify(self.socket, WRITE)

    # -- events ------------------------------------------------------------------------------------------

    def readable(self) -> None:
        try:
            data = self.socket.recv(RECEIVE)
            if data:
                self.parser.feed_data(data)
                return
        except (OSError, httptools.HttpParserError):
            self.rest = self.waiting = None
        self.close()

    def flush(self) -> None:
        if self.waiting is not None:
            try:
                sent = self.socket.send(self.waiting)
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            self.waiting = self.waiting[sent:] if sent < len(self.waiting) else None
        if self.waiting is None:
            self.more()
        if self.waiting is None:
            self.loop.epoll.modify(self.socket, READ)
            if self.last:
                self.close()

    def close(self) -> None:
        self.loop.connections.pop(self.socket.fileno(), None)
        self.rest = self.waiting = None
        self.socket.close()


def main() -> None:
    """Load the application and serve it."""
    module, _, name = sys.argv[1].partition(":")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Loop(getattr(importlib.import_module(module), name), int(sys.argv[2])).run()


if __name__ == "__main__":
    main()
