"""Set up and run this checkout with nothing but Python 3.10 and pip: the two commands of the README.

    python3 scripts/dev.py run [ARGUMENTS]   install into .venv and serve the example application
    python3 scripts/dev.py test [SESSIONS]   install nox and uv into .venv and run all checks, or those named
    python3 scripts/dev.py setup             .venv with every package, editable, and the tools

Standard library only: it runs before anything is installed. What a check is stands in `noxfile.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REPORTS = ROOT / ".nox" / "reports"
NOX = (str(PYTHON), "-m", "nox")
LANES = 2
"""Sessions that run at the same time: most tests wait for processes and sockets more than they work."""
PRINTING = threading.Lock()
TOOLS = ("nox>=2024.10.9", "uv>=0.5", "virtualenv>=20.26")


def interpreter() -> str:
    """This Python if it is new enough, else the newest one found."""
    if sys.hexversion >= 0x030A0000:
        return sys.executable
    for version in ("3.13", "3.12", "3.11", "3.10"):
        found = shutil.which(f"python{version}")
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    raise SystemExit("Python 3.10 or newer is needed, and none was found on PATH")


def make_environment() -> None:
    """Create .venv; where the system's Python comes without ensurepip (Debian), its pip fills it later."""
    if PYTHON.exists():
        return
    command = [interpreter(), "-m", "venv", "--clear", str(VENV)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        subprocess.run([*command, "--without-pip"], check=True)


def install(*requirements: str) -> None:
    """Install into .venv, with uv once it is there, else with its own pip or the one outside."""
    uv, pip = VENV / "bin" / "uv", VENV / "bin" / "pip"
    if uv.exists():
        command = [str(uv), "pip", "install", "--quiet", "--python", str(PYTHON)]
    elif pip.exists():
        command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    else:
        command = [interpreter(), "-m", "pip", "--disable-pip-version-check"]
        command += ["--python", str(PYTHON), "install", "--quiet"]
    if subprocess.run([*command, *requirements], cwd=ROOT, check=False).returncode:
        raise SystemExit("installing failed; `python3 -m pip` (22.3 or newer) and a package index are needed")


def packages() -> list[str]:
    """The folders of all packages, the core first."""
    found = sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("packages/*/pyproject.toml"))
    return sorted(found, key=lambda path: path != "packages/core")


def run(arguments: list[str]) -> int:
    """Serve the example application in the foreground."""
    make_environment()
    install("-e", "./packages/core")
    words = arguments or ["--bind", "127.0.0.1:8000", "--chdir", "examples/hello", "hello:app"]
    if not arguments:
        sys.stdout.write("The example page: http://127.0.0.1:8000/ (Ctrl-C ends it)\n")
        sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(VENV / "bin" / "server", ["server", *words])


def setup() -> int:
    """All packages editable, with the tools of the checks."""
    make_environment()
    install(*TOOLS, "hatchling>=1.27", "editables>=0.5")
    install("--no-build-isolation", *(part for path in packages() for part in ("-e", f"./{path}")))
    if (VENV / "bin" / "uv").exists():
        install("--group", "test", "--group", "lint", "--group", "types")
    return 0


def test(arguments: list[str]) -> int:
    """Run the checks, two at a time; the last line printed sums up the tests of all of them.

    Arguments are names of sessions, options of nox, and what stands after `--`, which goes to the session.
    """
    make_environment()
    install(*TOOLS)
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    after = arguments[len(words) :]
    names = [word for word in words if not word.startswith("-")]
    options = [word for word in words if word.startswith("-")]
    if "--list" in options or "-l" in options:
        return subprocess.run([*NOX, "--list"], cwd=ROOT, env=nox_environment(), check=False).returncode
    sessions = names or default_sessions()
    with ThreadPoolExecutor(LANES) as lanes:
        codes = list(lanes.map(lambda name: run_session(name, options, after), sessions))
    passed, failed, skipped = summed(sessions)
    sys.stdout.write(f"{passed} passed, {failed} failed, {skipped} skipped\n")
    return 1 if failed or any(codes) else 0


def nox_environment() -> dict[str, str]:
    """Where nox and uv are found."""
    environment = dict(os.environ, PATH=os.pathsep.join([str(VENV / "bin"), os.environ["PATH"]]))
    environment.pop("VIRTUAL_ENV", None)
    return environment


def default_sessions() -> list[str]:
    """What nox runs when nothing is named, the long ones first."""
    command = [*NOX, "--list", "--json"]
    listed = subprocess.run(
        command, cwd=ROOT, env=nox_environment(), capture_output=True, text=True, check=True
    )
    names = [str(row["session"]) for row in json.loads(listed.stdout)]
    long = ("conformance-3.13", "tests-3.13", "conformance", "tests", "minimal-core")
    ranks = {name: next((at for at, start in enumerate(long) if name.startswith(start)), 9) for name in names}
    return sorted(names, key=lambda name: ranks[name])


def run_session(name: str, options: list[str], after: list[str]) -> int:
    """One session, its output kept together and printed at its end."""
    began = time.monotonic()
    command = [*NOX, *options, "--report", str(REPORTS / f"{name}.json"), "-s", name, *after]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=nox_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    (REPORTS / f"{name}.log").write_bytes(done.stdout)
    text = done.stdout.decode(errors="replace")
    took = time.monotonic() - began
    with PRINTING:
        sys.stdout.write(f"===== {name}: {took:.0f} s\n{text}")
        sys.stdout.flush()
    return done.returncode


def summed(names: list[str]) -> tuple[int, int, int]:
    """Tests of every report; a session that failed without a failed test counts as one failure."""
    passed = failed = skipped = 0
    for path in sorted(REPORTS.glob("*.xml")):
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):
            numbers = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
            failed += numbers["failures"] + numbers["errors"]
            skipped += numbers["skipped"]
            passed += numbers["tests"] - numbers["failures"] - numbers["errors"] - numbers["skipped"]
    broken = 0
    for name in names:
        report = REPORTS / f"{name}.json"
        rows = json.loads(report.read_text())["sessions"] if report.exists() else []
        words = [row["result"] for row in rows]
        if "failed" in words or not rows:
            broken += 1
            sys.stdout.write(f"failed: {name}\n")
        elif "skipped" in words:
            sys.stdout.write(f"not run: {name}\n")
    return passed, failed or broken, skipped


def main(arguments: list[str]) -> int:
    """Dispatch the three commands."""
    command, *rest = arguments or ["help"]
    if command == "run":
        return run(rest)
    if command == "test":
        return test(rest)
    if command == "setup":
        return setup()
    sys.stdout.write(__doc__ or "")
    return 0 if command in ("help", "-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
