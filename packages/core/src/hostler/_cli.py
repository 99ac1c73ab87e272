"""The command: what to do with the arguments, and how every error of the user's becomes one line.

Knows the commands and the exit codes; what they need is imported when one of them runs, so that a question
(`--help`, `--version`) stays quick.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
import traceback
from collections.abc import Mapping, Sequence

from hostler.__about__ import __version__
from hostler._known import COMMANDS
from hostler.errors import HostlerError

ANSWERS = frozenset({"-h", "--help", "--print-config"})
"""Flags that make the command print and end."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 for a setting or address, 2 for usage and plugins."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    prog = _prog()
    try:
        return _run(arguments, prog)
    except HostlerError as error:
        if _debugging(arguments, os.environ) and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        print(f"{prog}: error: {one_line(str(error))}", file=sys.stderr)  # noqa: T201  # there is no log yet
        return error.exit_code
    except BrokenPipeError:
        # The reader of a listing has left (`| head`); the interpreter must not trip over it again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        return 130


def one_line(text: str) -> str:
    """A message whatever the user's values in it hold: control characters are written as Python would."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _run(arguments: list[str], prog: str) -> int:
    if arguments[:1] in (["--version"], ["-v"]):
        print(f"hostler {__version__}")  # noqa: T201  # the answer, without reading anything for it
        return 0
    command = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    if (command or not ANSWERS.isdisjoint(arguments)) and isinstance(sys.stdout, io.TextIOWrapper):
        # Plugins' words and users' values need not fit the terminal's encoding.
        sys.stdout.reconfigure(errors="backslashreplace")
    if command == "ctl":
        from hostler import _control_client  # noqa: PLC0415  # not needed to serve

        return _control_client.main(arguments[1:], prog=f"{prog} ctl")
    if command == "plugins":
        from hostler import _cli_plugins  # noqa: PLC0415  # not needed to serve

        return _cli_plugins.run(arguments[1:], f"{prog} plugins")
    if command == "config":
        from hostler import _cli_config  # noqa: PLC0415  # not needed to serve

        return _cli_config.run(arguments[1:], f"{prog} config")
    return _serve(arguments, prog)


def _serve(arguments: list[str], prog: str) -> int:
    from hostler._configuration import build  # noqa: PLC0415  # not needed by the other commands

    configuration = build(arguments, prog=prog)
    if configuration.settings.print_config or configuration.settings.check_config:
        from hostler import _cli_check, _cli_config  # noqa: PLC0415  # not needed to serve

        if configuration.settings.print_config:
            _cli_config.show(configuration)
        return _cli_check.check(configuration, prog)
    from hostler import _arbiter  # noqa: PLC0415  # not needed by the other commands

    return _arbiter.run(configuration)


def _prog() -> str:
    name = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else ""
    return "hostler" if name in ("", "__main__.py", "-c", "-m") else name


def _debugging(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """`--log-level debug`, where it can be seen without reading the settings, whose reading may have failed."""
    words = list(arguments)
    for variable in ("HOSTLER_CMD_ARGS", "GUNICORN_CMD_ARGS"):
        with contextlib.suppress(ValueError):  # told elsewhere
            words += shlex.split(environ.get(variable, ""))
    given = environ.get("HOSTLER_LOGLEVEL", "")
    for index, word in enumerate(words):
        if word == "--log-level":
            given = words[index + 1] if index + 1 < len(words) else ""
        elif word.startswith("--log-level="):
            given = word.partition("=")[2]
    return given.strip().lower() == "debug"
