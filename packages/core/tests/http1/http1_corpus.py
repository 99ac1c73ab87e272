"""The HTTP/1 corpus as values, and a way to play it against a connection. `tests/corpus/http1/README.md`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostler.http import Data, DateLine, End, Gone, Limits, Opening, Policy, Request, Transport
from hostler.http1._connection import Http1Connection
from hostler.http1._opening import open_connection

ROOT = Path(__file__).resolve().parents[4] / "tests" / "corpus" / "http1"


@dataclass(frozen=True)
class Case:
    name: str
    octets: bytes
    expected: dict[str, Any]


def cases() -> list[Case]:
    return [
        Case(
            f"{path.parent.name}/{path.stem}",
            path.read_bytes(),
            json.loads(path.with_suffix(".json").read_text()),
        )
        for path in sorted(ROOT.glob("*/*.raw"))
    ]


def connect(
    *,
    peer: str = "10.0.0.1",
    unix: bool = False,
    secure: bool = False,
    limits: Limits | None = None,
    shared: dict[str, Any] | None = None,
    policy: Policy | None = None,
    **more: Any,
) -> Http1Connection:
    """A connection from an untrusted peer, at a standing clock."""
    transport = Transport((peer, 1234), ("127.0.0.1", 8000), unix=unix, secure=secure)
    if shared is None:
        shared = {"date": DateLine(lambda: 784111777)}
    return open_connection(
        Opening(transport, limits or Limits(), policy or Policy(), shared=shared, max_requests=0, **more)
    )


class Play:
    """One connection with an application that answers 200 to every complete request."""

    def __init__(self, connection: Http1Connection | None = None) -> None:
        self.connection = connection or connect()
        self.requests: list[dict[str, Any]] = []
        self.complete = 0
        self.gone: list[Gone] = []
        self.written = b""

    def feed(self, pieces: Iterable[bytes]) -> Play:
        for piece in pieces:
            if self.connection.closing:
                break
            self.take(self.connection.receive(piece))
        return self

    def take(self, events: Iterable[Any]) -> None:
        for event in events:
            self._see(event)
        self.written += b"".join(self.connection.outgoing())
        while self.connection.held and not self.connection.closing:
            for event in self.connection.resume():
                self._see(event)
            self.written += b"".join(self.connection.outgoing())

    def _see(self, event: Any) -> None:
        if isinstance(event, Request):
            head = event.head
            self.requests.append(
                {
                    "method": head.method,
                    "target": head.target.decode("latin-1"),
                    "version": head.http_version,
                    "path": head.path.decode("latin-1"),
                    "query": head.query.decode("latin-1"),
                    "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in head.headers],
                    "chunked": head.chunked,
                    "expects": head.expects_continue,
                    "upgrade": head.upgrade.decode("latin-1"),
                    "body": "",
                    "trailers": [],
                }
            )
            if event.ended:
                self._answer(event.stream)
        elif isinstance(event, Data):
            self.requests[-1]["body"] += event.block.decode("latin-1")
            self.connection.taken(event.stream, len(event.block))
        elif isinstance(event, End):
            self.requests[-1]["trailers"] = [
                [n.decode("latin-1"), v.decode("latin-1")] for n, v in event.trailers
            ]
            self._answer(event.stream)
        elif isinstance(event, Gone):
            self.gone.append(event)

    def _answer(self, stream: int) -> None:
        self.complete += 1
        self.connection.start(stream, 200, ((b"Content-Type", b"text/plain"),), length=2)
        self.connection.data(stream, b"ok")
        self.connection.end(stream)

    def seen(self) -> tuple[Any, ...]:
        """Everything that must not depend on how the bytes were split."""
        kinds = [(each.stream, each.kind) for each in self.gone]
        told = self.requests[: self.complete], len(self.requests)
        return (
            told,
            kinds,
            self.written,
            self.connection.closing,
            self.connection.waiting,
            self.connection.reading,
        )


def statuses(written: bytes, methods: list[str]) -> list[int]:
    """The statuses of answers whose bodies have a length."""
    found = []
    methods = list(methods)
    while written:
        head, _, written = written.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        found.append(int(lines[0].split(b" ")[1]))
        length = next(int(line[16:]) for line in lines if line.startswith(b"Content-Length: "))
        method = methods.pop(0) if methods else ""
        written = written[0 if method == "HEAD" else length :]
    return found


def in_pieces(octets: bytes, size: int) -> list[bytes]:
    return [octets[i : i + size] for i in range(0, len(octets), size)]
