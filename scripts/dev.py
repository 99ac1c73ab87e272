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
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REPORTS = ROOT / ".nox" / "reports"
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
    install("./packages/core")
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
    """Run the checks; the last line printed sums up the tests of all of them."""
    make_environment()
    install(*TOOLS)
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    report = REPORTS / "nox.json"
    environment = dict(os.environ, PATH=os.pathsep.join([str(VENV / "bin"), os.environ["PATH"]]))
    environment.pop("VIRTUAL_ENV", None)
    words = list(arguments)
    if words and not words[0].startswith("-"):
        words = ["-s", *words]
    command = [str(PYTHON), "-m", "nox", "--report", str(report), *words]
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    passed, failed, skipped = summed(report)
    sys.stdout.write(f"{passed} passed, {failed} failed, {skipped} skipped\n")
    return code or (1 if failed else 0)


def summed(report: Path) -> tuple[int, int, int]:
    """Tests of every report; a session that failed without a failed test counts as one failure."""
    passed = failed = skipped = 0
    for path in sorted(REPORTS.glob("*.xml")):
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):
            numbers = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
            failed += numbers["failures"] + numbers["errors"]
            skipped += numbers["skipped"]
            passed += numbers["tests"] - numbers["failures"] - numbers["errors"] - numbers["skipped"]
    sessions = json.loads(report.read_text())["sessions"] if report.exists() else []
    for session in sessions:
        if session["result"] == "skipped":
            sys.stdout.write(f"not run: {session['name']}\n")
        elif session["result"] != "success":
            sys.stdout.write(f"failed: {session['name']}\n")
    if not failed:
        failed = sum(session["result"] not in ("success", "skipped") for session in sessions)
    return passed, failed, skipped


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
