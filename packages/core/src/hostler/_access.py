"""The access log's line: the user's format compiled once to a function of one answered request.

What depends only on the request's head is made once per head, since clients repeat themselves. Every text
of a client is escaped. Refuses to know where lines go.
"""

from __future__ import annotations

import binascii
import os
import re
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hostler._contexts import AccessLine
from hostler._escape import Escaped, escape
from hostler.errors import ConfigError
from hostler.http import Head

Render = Callable[[AccessLine], str]

_ATOM = re.compile(r"%(?:%|\((\{[^}]+\}[ioe]|[a-zA-Z]+)\)([-#0 +]*\d*(?:\.\d+)?[sdrif]))")
_SECRET = {b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"}
HIDDEN = "***"
_KEPT, _KEPT_SIZE = 256, 4096
"""Heads and texts that are remembered, and the octets of the largest."""

_OF_HEAD = frozenset("rmUqHfau")
"""Atoms that depend on the request's head only."""
_OF_ANSWER = {
    "h": "escaped[peer[0]] if (peer := line.peer) and peer[0] else '-'",
    "l": "'-'",
    "t": "stamp()",
    "s": "line.status",
    "st": "line.status",
    "b": "line.sent",
    "B": "line.sent",
    "T": "int(line.seconds)",
    "M": "int(line.seconds * 1000)",
    "D": "int(line.seconds * 1000000)",
    "L": "'%.6f' % line.seconds",
    "p": "pid()",
}
"""Atom -> the expression that gives it, in terms of `line`."""


def compile_format(text: str) -> Render:
    """gunicorn's `access_log_format` as a function, ending in a line feed. Raises `ConfigError`."""
    head_atoms: list[str] = []
    parts: list[str] = []
    names: dict[str, Any] = {"escaped": Escaped(), "stamp": Stamp(_common), "pid": _Pid()}
    position = 0
    for match in _ATOM.finditer(text):
        _literal(parts, text[position : match.start()])
        position = match.end()
        if match[0] == "%%":
            _literal(parts, "%", checked=False)
            continue
        expression = _expression(match[1], head_atoms, names)
        parts.append(f"{{{expression}}}" if match[2] == "s" else _formatted(match[2], expression, names))
    _literal(parts, text[position:])
    parts.append("\\n")
    names["of_head"] = HeadCache(_compile_head(head_atoms))
    source = "def render(line):\n"
    if head_atoms:
        source += "    static = of_head[line.head]\n"
    source += '    return f"""' + "".join(parts) + '"""\n'
    exec(compile(source, "<access_log_format>", "exec"), names)
    render: Render = names["render"]
    return render


def _literal(parts: list[str], text: str, *, checked: bool = True) -> None:
    if checked and "%" in text:
        raise ConfigError(f"access_log_format: {text!r} is no part of a format; write %% for a percent sign")
    # Everything but plain letters and blanks as an escape: the text becomes part of a literal.
    parts.append(
        "".join(c if (c.isalnum() and c.isascii()) or c in " -:,;" else f"\\U{ord(c):08x}" for c in text)
    )


def _formatted(conversion: str, expression: str, names: dict[str, Any]) -> str:
    name = f"format_{len(names)}"
    names[name] = ("%" + conversion).__mod__
    if conversion[-1] in "dif":
        return f"{{{name}({expression})}}"
    return f"{{{name}(({expression},))}}"


def _expression(atom: str, head_atoms: list[str], names: dict[str, Any]) -> str:
    if atom in _OF_ANSWER:
        return _OF_ANSWER[atom]
    if atom in _OF_HEAD or atom.endswith("}i"):
        if atom not in head_atoms:
            head_atoms.append(atom)
        return f"static[{head_atoms.index(atom)}]"
    if atom.endswith(("}o", "}e")):
        name = f"field_{len(names)}"
        wanted = atom[1:-2]
        names[name] = _answer_field(wanted) if atom.endswith("o") else _variable(wanted)
        return f"{name}(line)"
    raise ConfigError(f"access_log_format: there is no atom %({atom})s")


# -- atoms ---------------------------------------------------------------------------------------------


class HeadCache(dict[Head, Any]):
    """Head -> what was made of it. A connection hands out the same head for the same bytes. Bounded."""

    def __init__(self, make: Callable[[Head], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, head: Head) -> Any:
        made = self._make(head)
        # Large heads are rare and would add up: what is kept alive here stays near a mebibyte.
        if len(head.target) + sum([len(value) for _, value in head.headers]) <= _KEPT_SIZE:
            if len(self) >= _KEPT:
                self.clear()
            self[head] = made
        return made


def protocol_of(head: Head) -> str:
    """As CGI names it; HTTP/2 as `HTTP/2.0`, like gunicorn."""
    return f"HTTP/{head.http_version}" + (".0" if head.http_version == "2" else "")


def field_of(head: Head, name: bytes) -> str:
    """A request field as text, repeated ones joined; empty when there is none."""
    if name in _SECRET:
        return HIDDEN
    values = [value.decode("latin-1") for key, value in head.headers if key == name]
    return ",".join(values)


def user_of(head: Head) -> str:
    """The user name of Basic credentials; empty without."""
    for key, value in head.headers:
        if key == b"authorization":
            return _basic_user(value)
    return ""


def _basic_user(value: bytes) -> str:
    """RFC 7617, section 2."""
    if value[:6].lower() != b"basic ":
        return ""
    try:
        return b64decode(value[6:].strip(), validate=True).partition(b":")[0].decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


class _Texts(dict[bytes, str]):
    """Octets of a field -> text for the log, remembered. Bounded."""

    def __missing__(self, data: bytes) -> str:
        if len(self) >= _KEPT:
            self.clear()
        done = escape(data.decode("latin-1")) or "-"
        if len(data) <= _KEPT:
            self[data] = done
        return done


_Part = Callable[[Head, list[bytes]], str]
"""A head, and the values of the fields that some atom wants -> the text of one atom."""


def _compile_head(atoms: Sequence[str]) -> Callable[[Head], tuple[str, ...]]:
    """One pass over a head's fields for all atoms that depend on it."""
    wanted: dict[bytes, int] = {}
    parts = [_part(atom, wanted) for atom in atoms]

    def make(head: Head) -> tuple[str, ...]:
        found = [b""] * len(wanted)
        if wanted:
            for name, value in head.headers:
                index = wanted.get(name)
                if index is not None:
                    found[index] = found[index] + b"," + value if found[index] else value
        return tuple([part(head, found) for part in parts])

    return make


def _part(atom: str, wanted: dict[bytes, int]) -> _Part:
    """The function of one atom; enters the field that it needs into `wanted`."""
    if atom == "r":
        return _request_line
    if atom in "mUqH":
        return _SIMPLE[atom]
    name = _FIELD.get(atom) or atom[1:-2].lower().encode("latin-1", "replace")
    if name in _SECRET and atom != "u":
        return lambda head, found: HIDDEN
    index = wanted.setdefault(name, len(wanted))
    if atom == "u":
        return lambda head, found: (escape(_basic_user(found[index])) or "-") if found[index] else "-"
    texts = _Texts()
    return lambda head, found: texts[found[index]]


_FIELD = {"f": b"referer", "a": b"user-agent", "u": b"authorization"}


def _request_line(head: Head, found: list[bytes]) -> str:
    # The target is cut before the protocol is added, so that a long one cannot hide it.
    del found
    return f"{escape(head.method)} {escape(head.target.decode('latin-1'))} {protocol_of(head)}"


_SIMPLE: dict[str, _Part] = {
    "m": lambda head, found: escape(head.method),
    "U": lambda head, found: escape(head.path.decode("latin-1")) or "-",
    # Empty, not "-": so gunicorn writes it.
    "q": lambda head, found: escape(head.query.decode("latin-1")),
    "H": lambda head, found: protocol_of(head),
}


def _atom_of_head(atom: str, head: Head) -> str:
    return _compile_head([atom])(head)[0]


def _answer_field(name: str) -> Callable[[AccessLine], str]:
    wanted = name.lower()
    secret = wanted.encode("latin-1", "replace") in _SECRET

    def field(line: AccessLine) -> str:
        for key, value in line.headers:
            if (key if isinstance(key, str) else key.decode("latin-1")).lower() == wanted:
                return (
                    HIDDEN if secret else escape(value if isinstance(value, str) else value.decode("latin-1"))
                )
        return "-"

    return field


def _variable(name: str) -> Callable[[AccessLine], str]:
    wanted = name.upper()

    def variable(line: AccessLine) -> str:
        environ = line.environ or {}
        found = environ.get(name, environ.get(wanted))
        return "-" if found is None else escape(str(found))

    return variable


class _Pid:
    """`<pid>`, as gunicorn writes it; made anew in each process."""

    def __init__(self) -> None:
        self._text = f"<{os.getpid()}>"
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._text = f"<{os.getpid()}>"

    def __call__(self) -> str:
        return self._text


class Stamp:
    """The time as text, made once a second."""

    def __init__(self, make: Callable[[float], str]) -> None:
        self._make = make
        self._second = 0
        self._text = ""

    def __call__(self) -> str:
        now = int(time.time())
        if now != self._second:
            self._text = self._make(now)
            self._second = now
        return self._text


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _common(now: float) -> str:
    """The Common Log Format's time; its months do not follow the locale."""
    local = time.localtime(now)
    month = _MONTHS[local.tm_mon - 1]
    return time.strftime(f"[%d/{month}/%Y:%H:%M:%S %z]", local)


# -- for loggers of the standard library ---------------------------------------------------------------


class Atoms(dict[str, Any]):
    """Every atom of one line: what formatters of gunicorn's users expect in `record.args`."""

    def __init__(self, line: AccessLine) -> None:
        super().__init__()
        self._line = line
        self.update({atom: _SLOW[atom](line) for atom in _SLOW})

    def __missing__(self, atom: str) -> str:
        line = self._line
        if atom.endswith("}i"):
            return _atom_of_head(atom, line.head)
        if atom.endswith("}o"):
            return _answer_field(atom[1:-2])(line)
        if atom.endswith("}e"):
            return _variable(atom[1:-2])(line)
        return "-"


def _slow_atoms() -> Iterator[tuple[str, Callable[[AccessLine], Any]]]:
    names: dict[str, Any] = {"escaped": Escaped(), "stamp": Stamp(_common), "pid": _Pid()}
    for atom, expression in _OF_ANSWER.items():
        yield atom, eval(f"lambda line: {expression}", names)
    for atom in sorted(_OF_HEAD):
        yield atom, lambda line, atom=atom: _atom_of_head(atom, line.head)  # type: ignore[misc]


_SLOW = dict(_slow_atoms())
