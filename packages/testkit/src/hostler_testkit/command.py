"""The command `hostler-testkit`: the suites on one plugin, reported as a table with the reason of each failure.

hostler-testkit worker NAME|MODULE:VALUE       through a live server
hostler-testkit protocol NAME|MODULE:VALUE     without a socket (--vectors MODULE:NAME for one of your own)
hostler-testkit service NAME|MODULE:VALUE      the value's contract, and a server that starts with it
                                               (--set NAME=VALUE for what makes it run)
hostler-testkit new KIND NAME [DIRECTORY]      a distribution of your own that passes as written
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from hostler.plugin import ProtocolType, ServiceType, WorkerType

from hostler_testkit.installed import plugin_value
from hostler_testkit.skeletons import KINDS, write_skeleton

SUITES = {
    "worker": "hostler_testkit.conformance",
    "protocol": "hostler_testkit.conformance_protocol",
    "service": "hostler_testkit.conformance_service",
}

TYPES: dict[str, Any] = {"worker": WorkerType, "protocol": ProtocolType, "service": ServiceType}


def unfit(kind: str, names: str, settings: list[str]) -> str:
    """Why there is nothing to run the suite on, in one line; empty when there is."""
    group = f"hostler.{kind}s"
    for name in names.split(","):
        try:
            value: Any = plugin_value(group, name)
        except (LookupError, ImportError, AttributeError) as error:
            installed = ", ".join(sorted({found.name for found in entry_points(group=group)}))
            return f"{name}: {error}; installed: {installed or 'none'}"
        if not isinstance(value, TYPES[kind]):
            return f"{name} is a {type(value).__name__}, not a {TYPES[kind].__name__}"
        if kind == "service" and not settings and value.settings and not value.wanted(value.settings()):
            return f"{name} does not run by its defaults; name what makes it run, as --set {name}_workers=1"
    return ""


class Table:
    """A pytest plugin that collects outcomes and prints them by suite."""

    def __init__(self, every: bool) -> None:
        self._every = every
        self._rows: dict[str, list[tuple[str, str, str]]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take an outcome; of set-up and tear-down only what went wrong."""
        if report.when != "call" and report.passed:
            return
        path, _, name = report.nodeid.partition("::")
        suite = Path(path).stem.removeprefix("test_")
        word = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}[report.outcome]
        reason = "" if report.passed else self._reason(report)
        self._rows.setdefault(suite, []).append((word, name.removeprefix("test_"), reason))

    def _reason(self, report: pytest.TestReport) -> str:
        crash = getattr(report.longrepr, "reprcrash", None)
        text = crash.message if crash is not None else str(report.longrepr)
        return text.strip().split("\n")[0][:300]

    def write(self) -> None:
        """The table: a line for each suite, below it each failure (or, with `--all`, each test)."""
        for suite, rows in self._rows.items():
            counts = {word: sum(row[0] == word for row in rows) for word in ("ok", "FAILED", "skipped")}
            told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
            sys.stdout.write(f"{suite:<24} {told}\n")
            for word, name, reason in rows:
                if self._every or word != "ok":
                    sys.stdout.write(f"  {word:<8} {name}\n")
                    if reason:
                        sys.stdout.write(f"           {reason}\n")


def check(kind: str, given: Any, more: list[str]) -> int:
    """Run a suite and print its table; the exit code is 0 when all passed."""
    settings: list[str] = getattr(given, "set", [])
    problem = unfit(kind, given.name, settings or more)
    if problem:
        sys.stderr.write(f"hostler-testkit: {problem}\n")
        return 2
    table = Table(given.all)
    # The user's own pytest configuration has no say here.
    words = ["-c", str(Path(__file__).with_name("suite.ini")), "--rootdir", str(Path.cwd())]
    words += [
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        "-p",
        "no:terminal",
        "-p",
        "no:cacheprovider",
    ]
    words += ["--pyargs", SUITES[kind], f"--hostler-{kind}", given.name]
    if getattr(given, "vectors", None):
        words += ["--hostler-vectors", given.vectors]
    words += [word for text in settings for word in ("--hostler-service-settings", text)]
    code = pytest.main([*words, *more], plugins=[table])
    table.write()
    return int(code)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser("hostler-testkit", description="Prove a plugin of hostler.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for kind in SUITES:
        one = commands.add_parser(kind, help=f"run the suite for a {kind}")
        one.add_argument("name", help="the entry point's name, or module:VALUE")
        one.add_argument("--all", action="store_true", help="print every test, not only the failures")
        if kind == "protocol":
            one.add_argument("--vectors", metavar="MODULE:NAME", help="a mapping: name -> octets of a client")
        if kind == "service":
            one.add_argument(
                "--set",
                metavar="NAME=VALUE",
                action="append",
                default=[],
                help="a setting, its value as Python source; may be repeated",
            )
    new = commands.add_parser("new", help="write a distribution that passes the suite as written")
    new.add_argument("kind", help=f"one of {', '.join(KINDS)}")
    new.add_argument("name")
    new.add_argument("directory", nargs="?", default=".")
    given, more = parser.parse_known_args(arguments)
    sys.path.insert(0, "")  # a module beside, as with `python -m`
    if given.command == "new":
        if more:
            parser.error(f"unrecognized arguments: {' '.join(more)}")
        return _new(given)
    return check(given.command, given, more)


def _new(given: Any) -> int:
    try:
        written = write_skeleton(given.kind, given.name, given.directory)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"hostler-testkit: {error}\n")
        return 1
    for path in written:
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
