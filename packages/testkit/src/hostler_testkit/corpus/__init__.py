"""Cases for a live HTTP/1.1 server, kept as data: octets of a connection and the statuses they deserve.

A file holds cases, each `=== name`, then request lines as they are sent, with `\\r\\n` at each line's end put
there by the reader and the escapes `\\r \\n \\t \\0 \\\\ \\xHH` for what an editor would spoil; a line that ends in
`\\` goes on without a line end. `--> GET 200` says what must come: method and status (`400|431`: either),
`--> close` that the server then ends the connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files

_ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}


@dataclass(frozen=True)
class Case:
    """What is sent on one connection and what must come back."""

    name: str
    octets: bytes
    answers: tuple[tuple[str, frozenset[int]], ...]
    """Method and allowed statuses of each answer."""
    closes: bool


def cases() -> list[Case]:
    """Every case of the kit."""
    found: list[Case] = []
    for path in sorted(files(__name__).iterdir(), key=lambda path: path.name):
        if path.name.endswith(".txt"):
            found += parse(path.read_text("utf-8"))
    return found


def parse(text: str) -> list[Case]:
    """The cases of one file."""
    found: list[Case] = []
    for part in re.split(r"^=== *", text, flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        sent, closes = b"", False
        answers: list[tuple[str, frozenset[int]]] = []
        for line in rest.split("\n"):
            if line.startswith("#") and not answers and not sent:
                continue
            if line.startswith("-->"):
                words = line[3:].split()
                if words == ["close"]:
                    closes = True
                else:
                    answers.append((words[0], frozenset(int(each) for each in words[1].split("|"))))
            elif not answers and not closes:
                sent += _octets(line)
        found.append(Case(name.strip(), sent, tuple(answers), closes))
    return found


def _octets(line: str) -> bytes:
    ends = line.endswith("\\") and not line.endswith("\\\\")
    line = line.removesuffix("\\") if ends else line

    def escaped(match: re.Match[bytes]) -> bytes:
        code = match[1].decode()
        return bytes([int(code[1:], 16)]) if code[0] == "x" else _ESCAPES[code]

    octets = re.sub(rb"\\(x[0-9a-fA-F]{2}|[rnt0\\])", escaped, line.encode("latin-1"))
    return octets if ends else octets + b"\r\n"
