"""Run Autobahn's fuzzing client against the ASGI worker and write the table of its verdicts.

    python tests/autobahn/run.py [--python PYTHON2.7] [--cases '1.*,2.*'] [--write FILE]

The test suite runs on Python 2.7 only (its releases for Python 3 do not import). It is installed with that
Python's pip into a directory of its own unless one is given (`--suite`). Exit code 1: a case failed.
"""

from __future__ import annotations

import argparse
import collections
import importlib.metadata
import json
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
REQUIREMENT = "autobahntestsuite==0.8.2"
TOGETHER = (
    "Good messages come right before a frame that breaks the protocol. The connection is failed at once, before the "
    "application could answer them (RFC 6455 section 7.1.7 asks for no answer)."
)
WHOLE_FRAMES = (
    "Text is checked frame by frame, not octet by octet: bad UTF-8 is refused with 1007 at the end of its frame, in "
    "however many pieces that came. Bad fragments are refused before the next one (6.4.1, 6.4.2)."
)
UNDEFINED = "The suite only notes what the server does; RFC 6455 leaves it open."
EXPLAINED = {"3.": TOGETHER, "4.": TOGETHER, "5.": TOGETHER, "6.4.": WHOLE_FRAMES, "7.": UNDEFINED}
"""Beginnings of cases that are not plainly OK, and why that is right."""
GOOD = {"OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED"}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Autobahn's fuzzing client against the ASGI worker")
    parser.add_argument("--python", default="python2.7", help="a Python 2.7 with pip")
    parser.add_argument("--suite", type=Path, help="a directory that holds the suite already")
    parser.add_argument("--cases", default="*", help="with commas; all without")
    parser.add_argument("--write", type=Path, help="write the table here")
    parser.add_argument(
        "--reports", type=Path, help="keep the suite's own report of each case in this directory"
    )
    return parser.parse_args()


def serve(directory: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server with compression on, and its address."""
    log = (directory / "server.log").open("wb")
    command = [sys.executable, "-m", "hostler", "--worker-class", "asgi", "--bind", "127.0.0.1:0"]
    command += ["--websocket-per-message-deflate", "--no-control-socket"]
    command += [
        "--websocket-max-fragments",
        "70000",
        "echo:app",
    ]  # section 9.3 sends 4 MiB in pieces of 64 octets
    server = subprocess.Popen(command, cwd=HERE, stdout=log, stderr=log)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        said = (directory / "server.log").read_text()
        found = re.search(r"listening at http://(\S+)", said)
        if found and re.search(r"\bready\b", said):
            return server, found[1]
        time.sleep(0.1)
    server.kill()
    raise SystemExit("the server did not start:\n" + said)


def table(report: dict[str, dict[str, str]]) -> str:
    """A line per section with the number of each verdict, then each case that is not plainly OK, with its reason."""
    sections: dict[str, collections.Counter[str]] = {}
    remarks: dict[str, list[str]] = {}
    for case, verdict in sorted(report.items(), key=lambda item: [int(part) for part in item[0].split(".")]):
        major, minor = case.split(".")[:2]
        section = f"{major}.{minor}" if major in ("12", "13") else major
        both = {verdict["behavior"], verdict["behaviorClose"]}
        worst = next(
            (word for word in ("FAILED", "WRONG CODE", "UNCLEAN") if word in both), verdict["behavior"]
        )
        sections.setdefault(section, collections.Counter())[worst] += 1
        if worst != "OK":
            why = next(
                (text for start, text in EXPLAINED.items() if case.startswith(start)), "**unexplained**"
            )
            remarks.setdefault(why, []).append(f"{case} ({worst.lower()})")
    names = sorted({name for counts in sections.values() for name in counts}, key=lambda name: name != "OK")
    lines = ["| section | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
    for section, counts in sections.items():
        lines.append(f"| {section} | " + " | ".join(str(counts.get(name, 0)) for name in names) + " |")
    total = collections.Counter[str]()
    for counts in sections.values():
        total += counts
    lines.append(f"| all {total.total()} | " + " | ".join(str(total[name]) for name in names) + " |")
    for why, cases in remarks.items():
        lines += ["", f"{', '.join(cases)}: {why}"]
    return "\n".join(lines) + "\n"


def page(report: dict[str, dict[str, str]]) -> str:
    """The table under its heading."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("hostler-asgi", "websockets")
    )
    about = (
        f"{REQUIREMENT}; {versions}; CPython {platform.python_version()}; compression on. Made by\n"
        "`nox -s autobahn -- --python PYTHON2.7 --write tests/autobahn/results.md`.\n"
    )
    return f"# Autobahn's fuzzing client: what it says of the ASGI worker\n\n{about}\n{table(report)}"


def main() -> int:
    """Install, serve, run, judge."""
    given = arguments()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        reports = (given.reports or directory / "reports").resolve()
        suite = given.suite
        if suite is None:
            suite = directory / "suite"
            pip = [given.python, "-m", "pip", "install", "-q", "--target", str(suite), REQUIREMENT]
            subprocess.run(pip, check=True)
        server, address = serve(directory)
        specification = {
            "outdir": str(reports),
            "servers": [{"agent": "hostler", "url": f"ws://{address}"}],
            "cases": given.cases.split(","),
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        (directory / "client.json").write_text(json.dumps(specification))
        start = (
            "import site, sys; site.addsitedir(sys.argv[1]); "  # it has namespace packages, which need their .pth files
            "sys.argv = ['wstest', '-m', 'fuzzingclient', '-s', 'client.json']; "
            "from autobahntestsuite.wstest import run; run()"
        )
        command = [given.python, "-c", start, str(suite.resolve())]
        try:
            subprocess.run(command, cwd=directory, check=True)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        report = json.loads((reports / "index.json").read_text())["hostler"]
    written = page(report)
    print(written)
    if given.write:
        given.write.write_text(written)
    bad = [case for case, v in report.items() if v["behavior"] not in GOOD or v["behaviorClose"] not in GOOD]
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
