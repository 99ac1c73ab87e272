"""The command line (and the variables that hold one): the parser is built from the declarations.

Nothing is guessed: a flag that no setting has is an error with the nearest one, never skipped over, for what
stands behind a skipped flag could be its value or the application. This module prints nothing but the help.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from hostler.__about__ import __version__
from hostler._given import Given, Origin
from hostler._known import COMMANDS
from hostler._names import Name, Names
from hostler._nearest import nearest
from hostler.errors import UsageError

USAGE = "%(prog)s [options] [MODULE:CALLABLE]"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


class _Take(argparse.Action):
    """Note every flag with its value, in order, and how it was written."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        taken = list(getattr(namespace, "taken", ()))
        taken.append((self.dest, self.const if self.nargs == 0 else values, option_string or ""))
        namespace.taken = taken


def parse(arguments: Sequence[str], names: Names, prog: str, variable: str = "") -> list[Given]:
    """What the arguments give; `variable` is the environment's if they come from there.

    Raises `UsageError`; prints and exits for `--help` and `--version`.
    """
    names.include(worker(arguments))
    wanted = _wants_plugins(arguments, names)
    parser, settings = build(names, prog, plugins=wanted)
    try:
        _check_flags(arguments, names, settings)
        namespace = parser.parse_args(list(arguments))
    except UsageError as error:
        if variable:
            raise UsageError(f"{variable}: {error}") from None
        raise
    given: dict[str, Given] = {}
    for full, value, flag in getattr(namespace, "taken", ()):
        name = settings[full]
        where = f"{variable} {flag}" if variable else flag
        origin = Origin("environment" if variable else "command line", where)
        if name.declaration.kind.flag == "append" and full in given:
            value = [*given[full].value, value]
        elif name.declaration.kind.flag == "append":
            value = [value]
        text = "" if isinstance(value, bool) else f" {value[-1] if isinstance(value, list) else value}"
        given[full] = Given(name, value, origin, where + text)
    if namespace.application:
        origin = Origin("environment" if variable else "command line", variable or "argument")
        name = settings["wsgi_app"]
        given["wsgi_app"] = Given(name, namespace.application, origin, namespace.application)
    return list(given.values())


def worker(arguments: Sequence[str]) -> str:
    """The worker that the arguments name, looked up before they are parsed: its settings may be among them."""
    found = ""
    for index, argument in enumerate(arguments):
        if argument in ("-k", "--worker-class"):
            found = "".join(arguments[index + 1 : index + 2])
        elif argument.startswith("--worker-class="):
            found = argument.partition("=")[2]
        elif argument.startswith("-k"):
            found = argument[2:]
    return found


def build(names: Names, prog: str, *, plugins: bool) -> tuple[argparse.ArgumentParser, dict[str, Name]]:
    """The parser and the settings that it knows."""
    width = max(60, min(110, shutil.get_terminal_size().columns - 2))
    parser = _Parser(
        prog=prog,
        usage=USAGE,
        description="Serve a WSGI or ASGI application. The first word may also be a command: "
        + "; ".join(f"`{command}` ({what})" for command, what in COMMANDS.items())
        + ".",
        allow_abbrev=False,
        add_help=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=width),
    )
    parser.add_argument("application", nargs="?", metavar="MODULE:CALLABLE", help=argparse.SUPPRESS)
    general = parser.add_argument_group("General")
    general.add_argument("-h", "--help", action="help", help="Show this and exit.")
    version = f"hostler {__version__}"
    general.add_argument("-v", "--version", action="version", version=version, help="Show it and exit.")
    settings = {name.full: name for name in names.core()}
    if plugins:
        settings.update((name.full, name) for name in names.of_plugins())
    groups: dict[str, Any] = {}
    for name in settings.values():
        if name.flags:
            if name.section not in groups:
                groups[name.section] = parser.add_argument_group(name.section)
            _add(groups[name.section], name)
    return parser, settings


def _add(group: Any, name: Name) -> None:
    declaration = name.declaration
    shape: dict[str, Any] = {"action": _Take, "dest": name.full, "default": argparse.SUPPRESS}
    if declaration.kind.flag == "switch":
        on = True if declaration.constant is None else declaration.constant
        positive, negative = name.flags, name.negations
        if on == name.default:  # what a user would type is the other one; the plain flag overrides a file
            positive, negative = negative, positive
            on = not on
        group.add_argument(*positive, nargs=0, const=on, help=describe(name), **shape)
        if negative:
            group.add_argument(*negative, nargs=0, const=not on, help=argparse.SUPPRESS, **shape)
        return
    if declaration.kind.flag == "optional":
        shape.update(nargs="?", const=declaration.constant)
    group.add_argument(*name.flags, metavar=declaration.kind.name, help=describe(name), **shape)


def plain(name: Name, value: Any = ...) -> str:
    """A value, or the default, as a user would write it on the command line."""
    value = name.default if value is ... else value
    if name.declaration.kind.name == "MODE":
        return f"{value:#05o}"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def choices(name: Name) -> tuple[str, ...]:
    """The words that the setting takes, if its sentence does not name them all."""
    kind = name.declaration.kind
    told = all(word in name.declaration.help for word in kind.allowed)
    return () if told or kind.flag == "switch" or name.declaration.ignored else kind.allowed


def describe(name: Name) -> str:
    """The sentence of the help, with what it has without the flag and its name in a file if that differs."""
    declaration = name.declaration
    notes = [f"one of {', '.join(choices(name))}"] if choices(name) else []
    if name.default not in (None, "", ()) and not isinstance(name.default, (bool, dict)):
        notes.append(f"default {plain(name)}")
    if not any(flag == "--" + name.full.replace("_", "-") for flag in name.flags):
        notes.append(f"in files {name.full}")
    text = f"Has no effect here: {declaration.ignored}." if declaration.ignored else declaration.help
    if notes:
        text += f" [{'; '.join(notes)}]"
    return text.replace("%", "%%")


def _wants_plugins(arguments: Sequence[str], names: Names) -> bool:
    known = {flag for name in names.core() for flag in (*name.flags, *name.negations)}
    flags = set(_long_flags(arguments))
    return bool({"-h", "--help"} & set(arguments)) or not flags <= known | {"--version"}


def _long_flags(arguments: Iterable[str]) -> Iterable[str]:
    for argument in arguments:
        if argument == "--":
            return
        if argument.startswith("--"):
            yield argument.partition("=")[0]


def _check_flags(arguments: Sequence[str], names: Names, settings: dict[str, Name]) -> None:
    known = {flag for name in settings.values() for flag in (*name.flags, *name.negations)}
    known |= {"--help", "--version"}
    for flag in _long_flags(arguments):
        if flag in known:
            continue
        text = flag[2:].replace("-", "_")
        # Cut short, as argparse allows it: named, not taken, since a new setting could change what it means.
        longer = sorted((each for each in known if each.startswith(flag)), key=len) if len(flag) > 4 else []
        if near := nearest(flag, known) or "".join(longer[:1]):
            raise UsageError(f"{flag} is no setting; did you mean {near}?")
        raise UsageError(names.unknown(text, flag))
