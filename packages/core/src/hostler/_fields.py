"""How one setting is declared: a dataclass field that carries its kind, its flags and its sentence.

A settings class (the core's, or a plugin's own) is a frozen dataclass of such fields. A kind turns what a
source holds (text of the command line or environment, a value of a Python or TOML file) into the value.
"""

from __future__ import annotations

import dataclasses
import grp
import inspect
import os
import pwd
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Invalid(ValueError):
    """The value cannot be used; the message says what is allowed ("must be a whole number of at least 1")."""


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """What values a setting takes."""

    name: str
    """For the help: INT, SECONDS, TEXT, …"""
    convert: Callable[[Any], Any]
    """Value of any source -> the setting's value; raises `Invalid`."""
    flag: str = "value"
    """How the command line gives it: `value`, `switch` (no value), `append` (may be repeated), `optional`."""
    allowed: tuple[str, ...] = ()
    """The choices, for a completion or an error."""


@dataclasses.dataclass(frozen=True, slots=True)
class Declaration:
    """Everything about one setting but its name, type and default, which are the dataclass field's."""

    kind: Kind
    help: str
    flags: tuple[str, ...] = ()
    """Complete flags (`-b`, `--bind`); empty: made of the name; None of them with `cli=False`."""
    section: str = ""
    environment: str = ""
    """A variable of its own besides `HOSTLER_CMD_ARGS` (`WEB_CONCURRENCY`)."""
    aliases: tuple[str, ...] = ()
    """Further names in files and (as `--name`) on the command line, without the plugin's prefix."""
    cli: bool = True
    ignored: str = ""
    """Accepted for gunicorn's sake and without effect: why, for the one warning."""
    constant: Any = None
    """For a switch: the value that the flag gives (default True); for `optional`: that of the bare flag."""


KEY = "hostler"


def setting(
    default: Any = dataclasses.MISSING,
    *,
    kind: Kind,
    help: str,
    flags: Sequence[str] = (),
    section: str = "",
    environment: str = "",
    aliases: Sequence[str] = (),
    cli: bool = True,
    ignored: str = "",
    constant: Any = None,
    factory: Callable[[], Any] | None = None,
) -> Any:
    """Declare one setting as a field of a frozen settings dataclass."""
    declaration = Declaration(
        kind, help, tuple(flags), section, environment, tuple(aliases), cli, ignored, constant
    )
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata={KEY: declaration})
    return dataclasses.field(default=default, metadata={KEY: declaration})


def declarations(settings: type) -> dict[str, Declaration]:
    """Name -> declaration, in the order of the class."""
    return {f.name: f.metadata[KEY] for f in dataclasses.fields(settings) if KEY in f.metadata}


# -- kinds ---------------------------------------------------------------------------------------------


def integer(minimum: int | None = 0, maximum: int | None = None) -> Kind:
    """A whole number; text may be octal (0o22, 022) or hexadecimal."""

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise Invalid("must be a whole number")
        if isinstance(value, str):
            text = value.strip().replace("_", "")
            try:
                octal = re.fullmatch(r"0[0-7]+", text) is not None
                value = int(text, 8) if octal else int(text, 0)
            except ValueError:
                raise Invalid("must be a whole number") from None
        if minimum is not None and value < minimum:
            raise Invalid(f"must be at least {minimum}")
        if maximum is not None and value > maximum:
            raise Invalid(f"must be at most {maximum}")
        return int(value)

    return Kind("INT", convert)


def _mode(value: Any) -> int:
    try:
        return int(integer(0, 0o7777).convert(value))
    except Invalid:
        raise Invalid("must be permissions in octal (0o660, 0660), at most 0o7777") from None


mode = Kind("MODE", _mode)
"""Permission bits. Text is octal when it starts with a zero, as a shell user writes it."""

_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {
    "": 1,
    "b": 1,
    "k": 1 << 10,
    "kib": 1 << 10,
    "m": 1 << 20,
    "mib": 1 << 20,
    "g": 1 << 30,
    "gib": 1 << 30,
}


def seconds(minimum: float = 0.0) -> Kind:
    """A time in seconds: a number, or text with a unit (`500ms`, `2m`)."""

    def convert(value: Any) -> float:
        if isinstance(value, str):
            match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", value)
            if match is None or match[2] not in _UNITS:
                raise Invalid("must be seconds, as a number or with a unit (500ms, 30s, 2m)")
            value = float(match[1]) * _UNITS[match[2]]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            raise Invalid("must be a number of seconds")
        if value < minimum:
            raise Invalid(f"must be at least {minimum:g} seconds")
        return float(value)

    return Kind("SECONDS", convert)


def size(minimum: int = 0, maximum: int | None = None) -> Kind:
    """Octets: a whole number, or text with a unit (`64k`, `16MiB`)."""

    def convert(value: Any) -> int:
        if isinstance(value, str):
            match = re.fullmatch(r"\s*([0-9]+)\s*([a-z]*)\s*", value.lower())
            if match is None or match[2] not in _SIZES:
                raise Invalid("must be octets, as a whole number or with a unit (64k, 16MiB, 1g)")
            value = int(match[1]) * _SIZES[match[2]]
        if isinstance(value, bool) or not isinstance(value, int):
            raise Invalid("must be a whole number of octets")
        if value < minimum:
            raise Invalid(f"must be at least {minimum}")
        if maximum is not None and value > maximum:
            raise Invalid(f"must be at most {maximum}")
        return value

    return Kind("SIZE", convert)


_TRUE, _FALSE = {"1", "true", "yes", "on", "t", "y"}, {"0", "false", "no", "off", "f", "n"}


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise Invalid("must be true or false")


boolean = Kind("BOOL", _boolean, "switch", ("true", "false"))


def _text(value: Any) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise Invalid("must be text")
    return value.strip()


text = Kind("TEXT", _text)
optional_text = Kind("TEXT", lambda value: None if value is None else _text(value))
anything = Kind("VALUE", lambda value: value)


def choice(*allowed: str) -> Kind:
    """One of a few words."""

    def convert(value: Any) -> str:
        if not isinstance(value, str) or value.strip().lower() not in allowed:
            raise Invalid(f"must be one of {', '.join(allowed)}")
        return value.strip().lower()

    return Kind("NAME", convert, allowed=allowed)


def _words(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)) or not all(isinstance(part, str) for part in value):
        raise Invalid("must be a list of texts, or one text with commas")
    return tuple(part.strip() for part in value)


words = Kind("A,B", _words)
"""A list of texts; on the command line one value with commas."""


def _texts(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)) or not all(isinstance(part, str) for part in value):
        raise Invalid("must be a text or a list of texts")
    return tuple(value)


texts = Kind("TEXT", _texts, "append")
"""A list of texts; the flag may be repeated."""


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid("must be a table (a dictionary)")
    return dict(value)


mapping = Kind("TABLE", _mapping)


def hook(*arities: int) -> Kind:
    """A function that takes one of so many arguments, or None; text names it as `module.attribute`."""

    def convert(value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        wanted = " or ".join(map(str, sorted(arities)))
        if not callable(value):
            raise Invalid("must be a function" + (f" of {wanted} argument(s)" if arities else ""))
        if arities and not any(_takes(value, count) for count in arities):
            raise Invalid(f"must be a function that takes {wanted} argument(s)")
        return value

    return Kind("CALLABLE", convert)


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # some functions written in C do not tell
        return True
    return True


def _user(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) or str(value).isdigit():
        return int(value)
    try:
        return pwd.getpwnam(str(value)).pw_uid
    except KeyError:
        raise Invalid("names no user of this machine") from None


def _group(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) or str(value).isdigit():
        return int(value)
    try:
        return grp.getgrnam(str(value)).gr_gid
    except KeyError:
        raise Invalid("names no group of this machine") from None


user = Kind("USER", _user)
group = Kind("GROUP", _group)
