"""One small application for each rule of PEP 3333 that servers are known to get wrong."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

from hostler_testkit.applications.notes import add, directory, leave

Environ = dict[str, Any]
Start = Callable[..., Any]
TEXT = ("Content-Type", "text/plain")


def query(environ: Environ, name: str, default: str = "") -> str:
    """One parameter of the query, as Latin-1 text."""
    values = parse_qs(environ["QUERY_STRING"], keep_blank_values=True, encoding="latin-1").get(name)
    return values[-1] if values else default


# -- start_response --------------------------------------------------------------------------------------


def write(environ: Environ, start: Start) -> Iterable[bytes]:
    """What `write` takes comes before the iterable."""
    out = start("200 OK", [TEXT])
    out(b"one ")
    out(b"two ")
    return [b"three"]


def lazy_start(environ: Environ, start: Start) -> Iterator[bytes]:
    """Calls `start_response` with the first block only."""
    start("200 OK", [TEXT, ("X-Late", "yes")])
    yield b"lazy"


def second_start(environ: Environ, start: Start) -> Iterable[bytes]:
    """A second call without exc_info must raise."""
    start("200 OK", [TEXT])
    try:
        start("201 Created", [TEXT])
    except Exception as error:  # noqa: BLE001 - any error is what the rule asks for
        return [f"raised {type(error).__name__}".encode()]
    return [b"nothing was raised"]


def exc_info_early(environ: Environ, start: Start) -> Iterable[bytes]:
    """A second call with exc_info, before anything was sent, replaces the first one's fields."""
    start("200 OK", [TEXT, ("X-Old", "old"), ("Content-Length", "99")])
    try:
        raise RuntimeError("early")
    except RuntimeError:
        start("500 Replaced", [TEXT, ("X-New", "new")], sys.exc_info())
    return [b"replaced"]


def empty_first(environ: Environ, start: Start) -> Iterator[bytes]:
    """An empty block sends nothing yet, so that the head can still be replaced."""
    start("200 OK", [TEXT, ("X-Old", "old")])
    yield b""
    try:
        raise RuntimeError("after an empty block")
    except RuntimeError:
        start("503 Replaced", [TEXT], sys.exc_info())
    yield b"replaced"


def exc_info_late(environ: Environ, start: Start) -> Iterator[bytes]:
    """After the head was sent a call with exc_info raises that exception."""
    start("200 OK", [TEXT])
    yield b"sent"
    try:
        raise KeyError("late")
    except KeyError:
        try:
            start("500 Replaced", [TEXT], sys.exc_info())
        except KeyError as error:
            leave("exc-info-late", repr(error))
            raise
    leave("exc-info-late", "nothing was raised")


def no_start(environ: Environ, start: Start) -> Iterable[bytes]:
    """Never calls `start_response`."""
    return [b"no head"]


def status(environ: Environ, start: Start) -> Iterable[bytes]:
    """The status line of the query."""
    start(query(environ, "line"), [TEXT])
    return [b"body"] if query(environ, "body", "yes") == "yes" else []


def field(environ: Environ, start: Start) -> Iterable[bytes]:
    """A response field of the query."""
    start("200 OK", [TEXT, (query(environ, "name"), query(environ, "value"))])
    return [b"sent"]


def mutated(environ: Environ, start: Start) -> Iterable[bytes]:
    """The head is what was passed, not what the list became later."""
    fields = [TEXT, ("X-One", "1")]
    start("200 OK", fields)
    return [b"%d" % len(fields)]


# -- bodies ----------------------------------------------------------------------------------------------


class Body:
    """An iterable that counts its `close` under a name, and has no length to ask for."""

    def __init__(self, name: str, blocks: Iterable[bytes], fails: bool = False) -> None:
        self._name, self._blocks, self._fails = name, blocks, fails

    def __iter__(self) -> Iterator[bytes]:
        yield from self._blocks
        if self._fails:
            raise RuntimeError("the iterable failed on purpose")

    def __len__(self) -> int:
        raise AssertionError("a server has no business to ask for a length")

    def close(self) -> None:
        """Counted."""
        add(f"closed.{self._name}")


class ClosingList(list[bytes]):
    """A list with a `close`."""

    def close(self) -> None:
        """Counted."""
        add("closed.list")


def closing(environ: Environ, start: Start) -> Iterable[bytes]:
    """`close` is called once: after the end, after an error, on a subclass of list, for HEAD."""
    kind = query(environ, "kind")
    start("200 OK", [TEXT])
    if kind == "list":
        return ClosingList([b"one"])
    if kind == "error-first":
        return Body(kind, [], fails=True)
    return Body(kind, [b"one", b"two"], fails=kind == "error")


def length(environ: Environ, start: Start) -> Iterable[bytes]:
    """Blocks of the query under a Content-Length of the query, which need not fit."""
    start("200 OK", [TEXT, ("Content-Length", query(environ, "says"))])
    return iter([block.encode("latin-1") for block in query(environ, "blocks").split(",")])


def one(environ: Environ, start: Start) -> Iterable[bytes]:
    """A list of one."""
    start("200 OK", [TEXT])
    return [b"one"]


def nothing(environ: Environ, start: Start) -> Iterable[bytes]:
    """An empty list."""
    start("200 OK", [TEXT])
    return []


def empties(environ: Environ, start: Start) -> Iterator[bytes]:
    """Empty blocks between full ones end nothing."""
    start("200 OK", [TEXT])
    yield from (b"", b"a", b"", b"b", b"", b"c")


def not_bytes(environ: Environ, start: Start) -> Iterable[Any]:
    """Text where octets belong."""
    start("200 OK", [TEXT])
    return ["text"]


def exits(environ: Environ, start: Start) -> Iterator[bytes]:
    """An exception that is no `Exception`, after a block."""
    start("200 OK", [TEXT])
    yield b"begun"
    raise SystemExit("on purpose")


def ahead(environ: Environ, start: Start) -> Iterator[bytes]:
    """Notes each block that was asked for, large ones, so that a client that reads nothing holds it up."""
    start("200 OK", [TEXT])
    for _ in range(1000):
        add("asked")
        yield b"z" * 262144


# -- input -----------------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Any], list[bytes]]] = {
    "read": lambda body: [body.read(), body.read(), body.read(5)],
    "read-minus-one": lambda body: [body.read(-1), body.read(-1)],
    "read-n": lambda body: [body.read(3), body.read(4), body.read(0), body.read(1 << 20), body.read(1)],
    "readline": lambda body: [
        body.readline(),
        body.readline(),
        body.readline(),
        body.readline(),
        body.readline(),
    ],
    "readline-n": lambda body: [body.readline(2), body.readline(100), body.readline(0), body.readline()],
    "readlines": lambda body: [*body.readlines(), b"|", *body.readlines()],
    "readlines-hint": lambda body: [*body.readlines(1), b"|", *body.readlines()],
    "iterate": lambda body: [*body, b"|", *body],
    "mixed": lambda body: [body.read(2), body.readline(), *body],
    "none": lambda body: [],
}


def read_input(environ: Environ, start: Start) -> Iterable[bytes]:
    """What the calls on `wsgi.input` gave, as JSON."""
    got = CALLS[query(environ, "call")](environ["wsgi.input"])
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([block.decode("latin-1") for block in got]).encode()]


def complete(environ: Environ, start: Start) -> Iterable[bytes]:
    """Notes a body that it took for complete."""
    environ["wsgi.input"].read()
    add("complete")
    start("200 OK", [TEXT])
    return [b"complete"]


def errors(environ: Environ, start: Start) -> Iterable[bytes]:
    """Writes to `wsgi.errors` in every way."""
    stream = environ["wsgi.errors"]
    stream.write("written to wsgi.errors: é\n")
    stream.writelines(["lines to ", "wsgi.errors\n"])
    stream.flush()
    start("200 OK", [TEXT])
    return [b"written"]


# -- files -----------------------------------------------------------------------------------------------


class Counted(io.BytesIO):
    """A file without a descriptor, which counts its `close`."""

    def close(self) -> None:
        """Counted the first time."""
        if not self.closed:
            add("closed.memory")
        super().close()


def file(environ: Environ, start: Start) -> Iterable[bytes]:
    """A file of 300,000 octets through `wsgi.file_wrapper`, from `skip` on, with a length of `says`."""
    path = directory() / "file"
    content = b"0123456789" * 30000
    if not path.exists():
        leave("file", content.decode())
    fields = [TEXT]
    if query(environ, "says"):
        fields.append(("Content-Length", query(environ, "says")))
    opened: Any = Counted(content) if query(environ, "memory") else path.open("rb")
    opened.seek(int(query(environ, "skip", "0")))
    start("200 OK", fields)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](opened, 8192)
    return wrapped


ROUTES: dict[str, Callable[[Environ, Start], Iterable[bytes]]] = {
    "/write": write,
    "/lazy-start": lazy_start,
    "/second-start": second_start,
    "/exc-info-early": exc_info_early,
    "/empty-first": empty_first,
    "/exc-info-late": exc_info_late,
    "/no-start": no_start,
    "/status": status,
    "/field": field,
    "/mutated": mutated,
    "/closing": closing,
    "/length": length,
    "/one": one,
    "/nothing": nothing,
    "/empties": empties,
    "/not-bytes": not_bytes,
    "/exits": exits,
    "/ahead": ahead,
    "/input": read_input,
    "/complete": complete,
    "/errors": errors,
    "/file": file,
}
