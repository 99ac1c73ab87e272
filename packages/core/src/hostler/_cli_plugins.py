"""`hostler plugins`: what is installed, from where, and whether it can be used."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from hostler._plugins import KINDS, Entry, Registry, search_path
from hostler.errors import HostlerError, PluginError, UsageError

TESTKIT = "hostler_testkit"


def run(arguments: Sequence[str], prog: str) -> int:
    """List the plugins, or start a new one. 1 when one of them is broken, incompatible or in conflict."""
    options = _parser(prog).parse_args(list(arguments))
    if options.command == "new":
        return _new(options.words)
    if options.words or options.command not in (None, "list"):
        raise UsageError(f"unknown words {' '.join([options.command, *options.words])!r}; try {prog} --help")
    disabled = [one.strip() for one in os.environ.get("HOSTLER_DISABLE_PLUGINS", "").split(",")]
    registry = Registry.installed(search_path(), filter(None, disabled))
    rows = [_row(registry, entry) for entry in (*registry.entries(), *registry.ignored())]
    if options.json:
        print(json.dumps(rows, indent=2))  # noqa: T201  # what the command is for
    else:
        _table(rows)
    return 0 if all(row["state"] in ("ok", "disabled") for row in rows) else 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UsageError(message)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=prog,
        usage="%(prog)s [--json] | %(prog)s new KIND NAME [DIRECTORY]",
        description="List the installed plugins, or write the skeleton of a new one.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("command", nargs="?", metavar="new KIND NAME", help="worker, protocol, service, …")
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    return parser


def _row(registry: Registry, entry: Entry) -> dict[str, Any]:
    state = registry.state(entry)
    row: dict[str, Any] = {
        "group": entry.group,
        "name": entry.name,
        "distribution": entry.dist,
        "version": entry.version,
        "api": None,
        "state": state.partition(":")[0],
        "reason": state.partition(": ")[2],
        "summary": "",
    }
    kind = next((kind for kind, (group, _) in KINDS.items() if group == entry.group), None)
    if kind is not None and row["state"] in ("ok", "conflict", "disabled"):
        try:
            value: Any = registry.value(kind, entry)
            row["api"], row["summary"] = ".".join(map(str, value.api)), value.summary
        except PluginError as error:
            row["reason"] = str(error)
    return row


def _table(rows: Sequence[dict[str, Any]]) -> None:
    heads = ["group", "name", "distribution", "version", "api", "state"]
    cells = [[str(row[head] or "-") for head in heads] for row in rows]
    widths = [max(len(line[column]) for line in [heads, *cells]) for column in range(len(heads))]
    for line, row in [(heads, {"reason": "", "summary": ""}), *zip(cells, rows, strict=True)]:
        note = row["reason"] or row["summary"]
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(f"{text}  {note}".rstrip())  # noqa: T201  # what the command is for


def _new(words: Sequence[str]) -> int:
    if len(words) not in (2, 3):
        raise UsageError("new takes a kind (worker, protocol or service), a name and perhaps a directory")
    if importlib.util.find_spec(TESTKIT) is None:
        raise HostlerError(
            f"skeletons are part of the testkit: {sys.executable} -m pip install hostler-testkit"
        )
    # In a process of its own: the kit brings pytest, which nothing else of this command needs.
    code = f"import sys; from {TESTKIT}.command import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", code, "new", *words], check=False).returncode
