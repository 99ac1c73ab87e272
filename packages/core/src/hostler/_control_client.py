"""`hostler ctl`: finds a server's control socket, asks one thing, prints a table or JSON.

Knows the words and the wire; refuses to know the arbiter. Plugins' own commands run here, in the command's
process.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hostler import _control_paths
from hostler._named import named
from hostler._values import ServiceType
from hostler.errors import HostlerError

USAGE = """\
what can be asked:
  status               the server, its listeners, workers and services
  workers              one line per worker
  reload               new workers with new code and settings; waits until they serve
  add [N], remove [N]  change the number of workers
  stacks PID           the stacks of one worker's threads
  reopen-logs          open the log files anew
  stop [quick]         end the server
  top                  a live view (needs the package textual)
  NAME WORDS…          what the service NAME offers
"""
ANSWER = 64 << 20
"""Octets of an answer that are taken."""


class ControlError(HostlerError):
    """The server cannot be asked, or says no."""


def main(arguments: Sequence[str], *, prog: str = "hostler ctl") -> int:
    """Run the command; returns its exit code. Raises `HostlerError` with one line for the user."""
    options = _parser(prog).parse_args(arguments)
    path = find_socket(options.control_socket, options.pidfile, options.pid)
    words: list[str] = options.words
    name = options.command
    if name == "top":
        return _top(path)
    data = ask(path, name, words) if name in _PLAIN else _service(path, name, words)
    if not options.json and isinstance(data, Mapping) and set(data) == {"ok", "error"}:
        raise ControlError(f"{name}: {data['error']}")
    try:
        print(json.dumps(data, indent=2) if options.json else show(name, data))  # noqa: T201 - it is a command
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # A service's own answer may say that it was not done.
    return 1 if isinstance(data, Mapping) and data.get("ok") is False else 0


_PLAIN = {"status", "workers", "reload", "add", "remove", "stacks", "reopen-logs", "stop"}


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, epilog=USAGE, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--control-socket", metavar="PATH", help="the server's control socket")
    parser.add_argument("--pidfile", "-p", metavar="FILE", help="the server's pid file")
    parser.add_argument("--pid", type=int, metavar="N", help="the server's process id")
    parser.add_argument("--json", "-j", action="store_true", help="print JSON")
    parser.add_argument("command", metavar="COMMAND")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="WORDS")
    return parser


def find_socket(path: str | None = None, pidfile: str | None = None, pid: int | None = None) -> str:
    """The control socket that is meant; without a hint the only one of this user. Raises `ControlError`."""
    if path:
        return path
    if pidfile:
        try:
            with open(pidfile, encoding="ascii") as file:
                pid = int(file.read().strip())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "holds no process id"
            raise ControlError(f"pid file {pidfile!r}: {reason}") from None
    found = _control_paths.sockets()
    if pid is not None:
        found = [one for one in found if os.path.basename(one) == f"{pid}{_control_paths.SUFFIX}"]
        if not found:
            raise ControlError(
                f"no control socket of a server with process id {pid}; name it by --control-socket"
            )
    if not found:
        raise ControlError("no running server of this user was found; name its socket by --control-socket")
    if len(found) > 1:
        pids = ", ".join(os.path.basename(one).removesuffix(_control_paths.SUFFIX) for one in found)
        raise ControlError(f"several servers run; choose one by --pid: {pids}")
    return found[0]


def ask(path: str, command: str, words: Sequence[str] = (), *, seconds: float = 120.0) -> Any:
    """Send one command and return its data. Raises `ControlError`."""
    request = json.dumps({"command": command, "words": list(words)}).encode() + b"\n"
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(seconds)
            sock.connect(path)
            sock.sendall(request)
            while len(answer) < ANSWER:
                block = sock.recv(65536)
                if not block:
                    break
                answer += block
    except (BrokenPipeError, ConnectionResetError):
        answer.clear()  # refused before all was sent
    except OSError as error:
        reason = error.strerror or "it does not answer"
        raise ControlError(f"control socket {path!r}: {reason}; is the server running?") from None
    if not answer:
        raise ControlError("the server closed the connection: it is not yours, or has too many clients")
    try:
        found = json.loads(answer)
    except ValueError:
        raise ControlError("the answer was cut short") from None
    if not found.get("ok"):
        raise ControlError(str(found.get("error")))
    return found.get("data")


def _service(path: str, name: str, words: Sequence[str]) -> Any:
    """A service's own command: its plugin's function, run here with what the server told of it."""
    told = ask(path, "service", [name])
    from hostler import _plugins  # noqa: PLC0415 - only these commands look at the plugins

    value = _plugins.Registry.installed(_plugins.search_path()).find(ServiceType, name)
    if not value.control:
        raise ControlError(f"the service {name} has no commands")
    settings = value.settings(**_tuples(told["settings"])) if value.settings is not None else None
    from hostler._contexts import Bound  # noqa: PLC0415

    return named(value.control)(settings, Bound(values=told["values"]), list(words))


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists only; settings hold tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _top(path: str) -> int:
    try:
        from hostler import _control_top  # noqa: PLC0415 - the terminal library is an extra
    except ImportError as error:
        # rich comes with textual.
        if (error.name or "").partition(".")[0] not in ("textual", "rich"):
            raise
        raise ControlError("top needs the package textual; `pip install 'hostler[top]'`") from None
    return _control_top.run(path)


# -- tables --------------------------------------------------------------------------------------------


def show(name: str, data: Any) -> str:
    """Data as a person reads it."""
    if isinstance(data, str) or (isinstance(data, Mapping) and isinstance(data.get("text"), str)):
        return (data if isinstance(data, str) else str(data["text"])).rstrip()
    if name == "status":
        return _status(data)
    if isinstance(data, list):
        return table(data)
    if isinstance(data, Mapping):
        return _mapping(data)
    return str(data)


def _mapping(data: Mapping[str, Any]) -> str:
    """Plain values as lines, lists and mappings of rows as tables below them."""
    lines, tables = [], []
    for key, value in data.items():
        rows = value
        if isinstance(value, Mapping) and value and all(isinstance(row, Mapping) for row in value.values()):
            rows = [{"name": name, **row} for name, row in value.items()]
        if isinstance(rows, list) and rows and all(isinstance(row, Mapping) for row in rows):
            tables.append(f"\n{key}:\n{table(rows)}")
        elif (key, value) != ("ok", True):
            lines.append(f"{key}: {_cell(key, value)}")
    return "\n".join([*lines, *tables]).lstrip("\n") or "done"


def _status(data: Mapping[str, Any]) -> str:
    lines = [
        f"{data.get('name') or 'hostler'} {data.get('version', '')}, pid {data.get('pid')}, "
        f"{data.get('state')}, up {_time(data.get('uptime'))}"
    ]
    lines += [f"  listening on {name}" for name in data.get("listeners", ())]
    lines.append(
        f"  workers {data.get('ready')} ready of {data.get('wanted')}, generation {data.get('generation')}"
    )
    if data.get("reload"):
        lines.append(f"  last reload: {data['reload']}")
    for rows in (data.get("workers", ()), data.get("services", ())):
        if rows:
            lines += ["", table(rows)]
    return "\n".join(lines)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows in columns, numbers to the right."""
    if not rows:
        return "none"
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[name.upper() for name in names]] + [
        [_cell(name, row.get(name)) for name in names] for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    right = [all(isinstance(row.get(name), (int, float, type(None))) for row in rows) for name in names]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    )


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name in ("uptime", "lifetime"):
        return _time(value)
    if name in ("rss", "pss"):
        return f"{value / 1048576:.1f}M"
    if isinstance(value, float):
        return f"{value:.2g}" if 0 < abs(value) < 0.1 else f"{value:.1f}"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def _time(seconds: Any) -> str:
    if not isinstance(seconds, (int, float)):
        return "-"
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{whole % 60:02}s" if minutes else f"{whole}s"


def run(arguments: Sequence[str]) -> int:
    """As `main`, with the error printed."""
    try:
        return main(arguments)
    except HostlerError as error:
        print(f"hostler ctl: {error}", file=sys.stderr)  # noqa: T201 - it is a command
        return error.exit_code
