"""The configuration file and the environment, as lists of given values; the order of the sources is one list.

From low to high: defaults, file, environment, command line. A Python file may hold names of its own, but
none that is a slip away from a setting's; a TOML file holds settings only.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
import sys
import traceback
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hostler import _arguments, _log_output, _poll, _signals  # noqa: F401 - with what a file's code may replace
from hostler._given import Given, Origin, shown
from hostler._known import STARTS, owner
from hostler._names import Name, Names
from hostler._nearest import nearest
from hostler.errors import ConfigError
from hostler.settings import Invalid

DEFAULT_FILES = ("hostler.conf.py", "hostler.toml", "pyproject.toml")
HOOK_BEGINNINGS = ("on_", "pre_", "post_", "when_")


class Sources:
    """One reading of all sources; `warnings` has what the log should say of them."""

    def __init__(
        self, argv: Sequence[str], environ: Mapping[str, str], directory: str, names: Names, prog: str
    ) -> None:
        self.warnings: list[str] = []
        self._environ = environ
        self._directory = directory
        self._names = names
        self._prog = prog
        self._argv = argv

    def read(self) -> list[Given]:
        """Every given value, the later of two for one setting being the one that counts.

        Raises `ConfigError`, and `UsageError` for what the command line does wrong.
        """
        self._add_directory()
        self._names.include(self._environ.get("HOSTLER_WORKER_CLASS", ""))
        # First, for it may be a plain question (--help), and it may name the file.
        arguments = _arguments.parse(self._argv, self._names, self._prog)
        variables = [*self._variables(), *self._command_variables()]
        file = self._file(_last("config", [*variables, *arguments]))
        self._tell_overridden(file, variables)
        return [*self._port(), *file, *variables, *arguments]

    # -- environment -----------------------------------------------------------------------------------

    def _port(self) -> list[Given]:
        """PORT is what a platform tells: it moves the default address and gives way to any other."""
        port = self._environ.get("PORT", "")
        if not port:
            return []
        if not port.isdigit() or int(port) > 65535:
            raise ConfigError(f"PORT={port}: must be a port, a whole number up to 65535")
        return [
            Given(
                self._names.core_name("bind"),
                [f"0.0.0.0:{port}"],
                Origin("environment", "PORT"),
                f"PORT={port}",
            )
        ]

    def _variables(self) -> list[Given]:
        found = []
        own = {name.variable: name for name in self._names.core()}
        for name in self._names.core():
            variable = name.declaration.environment
            if variable and self._environ.get(variable, "").strip():
                found.append(self._from_variable(name, variable))
        for variable in sorted(self._environ):
            if variable.startswith("HOSTLER_") and variable not in NOT_SETTINGS:
                one = own.get(variable) or self._names.get(variable[len("HOSTLER_") :].lower())
                if one is not None:
                    found.append(self._from_variable(one, variable))
                elif near := nearest(variable, own):
                    self.warnings.append(f"the variable {variable} is no setting; did you mean {near}?")
        return found

    def _from_variable(self, name: Name, variable: str) -> Given:
        text = self._environ[variable]
        value: Any = text
        if name.declaration.kind.flag == "append":
            value = _split(variable, text)
        return Given(name, value, Origin("environment", variable), f"{variable}={text}")

    def _command_variables(self) -> list[Given]:
        found: list[Given] = []
        for variable in ("GUNICORN_CMD_ARGS", "HOSTLER_CMD_ARGS"):
            text = self._environ.get(variable, "")
            if text.strip():
                found += _arguments.parse(_split(variable, text), self._names, self._prog, variable)
        if self._environ.get("GUNICORN_CMD_ARGS", "").strip():
            self.warnings.append("GUNICORN_CMD_ARGS is read; its name here is HOSTLER_CMD_ARGS")
        return found

    def _tell_overridden(self, file: Iterable[Given], variables: Iterable[Given]) -> None:
        """gunicorn lets the file win over WEB_CONCURRENCY and its like; whoever comes from there is told."""
        winners = {one.name: one for one in variables if one.origin.where == one.name.declaration.environment}
        for given in file:
            winner = winners.get(given.name)
            if winner is not None and winner.converted() != given.converted():
                self.warnings.append(
                    f"{winner.written} comes before {given.written} of {given.origin.where} "
                    "(with gunicorn the file came first)"
                )

    # -- file ------------------------------------------------------------------------------------------

    def _file(self, config: Given | None) -> list[Given]:
        if config is None or not config.converted():
            return self._default_file()
        text = str(config.converted())
        if text.startswith("python:"):
            module = text[len("python:") :]
            sys.modules.pop(module, None)  # a reload is to see what the module says now
            importlib.invalidate_caches()
            try:
                found: Any = importlib.import_module(module)
            except (Exception, SystemExit) as error:  # the user's own code
                raise ConfigError(f"{config.written}: {_failure(error)}") from error
            return self._of_python(vars(found), text)
        path = text[len("file:") :] if text.startswith("file:") else text
        full = os.path.join(self._directory, os.path.expanduser(path))
        if not os.path.exists(full) or os.path.isdir(full):  # /dev/null is a way to say "none"
            raise ConfigError(f"{config.written}: there is no file {full!r}")
        return self._read(full, path)

    def _default_file(self) -> list[Given]:
        there = [name for name in DEFAULT_FILES if self._is_ours(name)]
        for other in there[1:]:
            self.warnings.append(f"{other} is not read: {there[0]} comes before it")
        if there:
            return self._read(os.path.join(self._directory, there[0]), there[0])
        if os.path.isfile(os.path.join(self._directory, "gunicorn.conf.py")):
            self.warnings.append("gunicorn.conf.py is not read by itself; to use it, say -c gunicorn.conf.py")
        return []

    def _is_ours(self, name: str) -> bool:
        path = os.path.join(self._directory, name)
        if not os.path.isfile(path):
            return False
        if name != "pyproject.toml":
            return True
        # Somebody else's file: only a table of ours makes it worth parsing, and its faults ours to tell.
        with contextlib.suppress(OSError), open(path, "rb") as file:
            return b"tool.hostler" in file.read()
        return False

    def _read(self, path: str, written: str) -> list[Given]:
        if path.endswith(".toml"):
            return self._of_toml(path, written)
        return self._of_python(self._run(path, written), written)

    def _run(self, path: str, written: str) -> Mapping[str, Any]:
        module = types.ModuleType("__config__")
        module.__file__ = path
        sys.modules[module.__name__] = module  # dataclasses and pickles of the file look for their module
        try:
            with open(path, "rb") as file:
                code = compile(file.read(), path, "exec")
            exec(code, module.__dict__)  # the configuration file is the operator's own code
        except (Exception, SystemExit) as error:
            raise ConfigError(f"{written}: {_failure(error, path)}") from error
        return module.__dict__

    def _add_directory(self) -> None:
        """Files and plugins may import what lies in the working directory, as with gunicorn."""
        if self._directory not in sys.path:
            sys.path.insert(0, self._directory)

    def _of_python(self, values: Mapping[str, Any], written: str) -> list[Given]:
        given, others = [], []
        self._names.include(str(values.get("worker_class", "")))
        for text, value in values.items():
            if text.startswith("_") or isinstance(value, types.ModuleType):
                continue
            name = self._names.get(text)
            if name is None:
                others.append((text, value))
            elif value is not None:  # gunicorn's way to say "not set", and ours
                given.append(_from_file(name, value, written, f"{text} = {shown(value)}"))
        set_here = {one.name.full for one in given}
        for text, value in others:
            self._judge(text, value, written, set_here)
        return given

    def _judge(self, text: str, value: Any, written: str, set_here: set[str]) -> None:
        """A name that is no setting: one of the file's own, or a slip, or a plugin's that is not here."""
        if isinstance(value, type) or not text.islower():
            return
        function = isinstance(value, (types.FunctionType, types.BuiltinFunctionType))
        names = (*self._names.core(), *self._names.loaded())
        hooks = [n.full for n in names if n.declaration.kind.name == "CALLABLE"]
        near = nearest(text, hooks) if function else self._names.suggestion(text)
        if near and near not in set_here and self._fits(near, value):
            raise ConfigError(
                f"{written}: {text} is no setting; did you mean {near}? (A name of your own can begin with _)"
            )
        if absent := self._names.absent(text):
            self.warnings.append(f"{written}: {absent}")
        elif text in STARTS:
            raise ConfigError(f"{written}: {self._names.unknown(text)}")
        elif function and text.startswith(HOOK_BEGINNINGS) and value.__module__ == "__config__":
            self.warnings.append(f"{written}: {text} is not a hook and is never called")

    def _fits(self, near: str, value: Any) -> bool:
        """The value may have been meant for that setting; `log_config = {…}` was not for a file's name."""
        name = self._names.get(near)
        if name is None or isinstance(value, (str, int, float)):
            return name is not None
        try:
            name.declaration.kind.convert(value)
        except Invalid:
            return False
        return True

    def _of_toml(self, path: str, written: str) -> list[Given]:
        # Imported for who writes TOML only: every worker shares in what its arbiter has imported.
        if sys.version_info >= (3, 11):
            import tomllib  # noqa: PLC0415
        else:
            import tomli as tomllib  # noqa: PLC0415
        try:
            with open(path, "rb") as file:
                table: Any = tomllib.load(file)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{written}: {error}") from None
        if os.path.basename(path) == "pyproject.toml":
            table = table.get("tool", {}).get("hostler", {})
            written = f"{written} [tool.hostler]"
        self._names.include(str(table.get("worker_class", table.get("worker-class", ""))))
        given: list[Given] = []
        for key, value in table.items():
            text = key.replace("-", "_")
            name = self._names.get(text)
            if name is not None:
                given.append(_from_file(name, value, written, f"{key} = {shown(value)}"))
            elif isinstance(value, Mapping) and text in self._names.prefixes():
                given += self._of_table(key, text, value, written)
            elif isinstance(value, Mapping) and owner(text):
                for inner in value:
                    self._refuse(f"{text}_{inner.replace('-', '_')}", f"{written} [{key}]")
            else:
                self._refuse(text, written)
        return given

    def _of_table(self, key: str, prefix: str, table: Mapping[str, Any], written: str) -> Iterable[Given]:
        for inner, value in table.items():
            text = f"{prefix}_{inner.replace('-', '_')}"
            name = self._names.get(text)
            if name is None:
                self._refuse(text, f"{written} [{key}]")
            else:
                yield _from_file(name, value, written, f"[{key}] {inner} = {shown(value)}")

    def _refuse(self, text: str, written: str) -> None:
        absent = self._names.absent(text)
        if not absent:
            raise ConfigError(f"{written}: {self._names.unknown(text)}")
        self.warnings.append(f"{written}: {absent}")


NOT_SETTINGS = frozenset({"HOSTLER_CMD_ARGS", "HOSTLER_DISABLE_PLUGINS", "HOSTLER_UPGRADE"})
"""Variables with our beginning that are read elsewhere."""


def _from_file(name: Name, value: Any, path: str, written: str) -> Given:
    return Given(name, value, Origin("file", path), written)


def _last(full: str, given: Iterable[Given]) -> Given | None:
    found = [one for one in given if one.name.full == full]
    return found[-1] if found else None


def _split(variable: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{variable}={text}: {error}") from None


def _failure(error: BaseException, path: str = "") -> str:
    """The user's own error in one line, with the line of the file that it happened in."""
    line: int | None = None
    if isinstance(error, SyntaxError) and error.filename == path:
        line = error.lineno
        return f"line {line}: {type(error).__name__}: {error.msg}"
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == path:
            line = frame.lineno
    where = f"line {line}: " if line else ""
    return f"{where}{type(error).__name__}: {error}"
