"""The one virtual environment that holds every server of the benchmarks, and what the machine is.

It knows how to install and how to ask for versions; it does not know how a server is started or measured.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Installed after the rest: these are compiled, and the other rows do not depend on them.
COMPILED = {"bjoern>=3.2": "a C compiler and the headers of libev", "uwsgi>=2.0.28": "a C compiler"}

VERSIONS = """
import importlib.metadata, json, platform
found = {}
for each in importlib.metadata.distributions():
    found[each.metadata["Name"].lower().replace("_", "-")] = each.version
print(json.dumps({"python": platform.python_version(), "distributions": found}))
"""


def prepare(folder: Path) -> Path:
    """Make or complete the environment in a folder; returns its interpreter.

    Raises `subprocess.CalledProcessError` when pip fails for anything but the compiled peers.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1", "hatchling>=1.27", "editables>=0.5"], check=True)
    packages = [word for path in sorted(ROOT.glob("packages/*/")) for word in ("-e", str(path))]
    group = ("--group", f"{ROOT / 'pyproject.toml'}:bench")
    subprocess.run([*pip, "--no-build-isolation", *packages, *group], check=True)
    for requirement, needed in COMPILED.items():
        if subprocess.run([*pip, requirement], check=False).returncode:
            print(f"{requirement} did not build (it needs {needed}); it will be left out")
    return python


def interpreter(folder: Path | None) -> Path:
    """The interpreter of a prepared environment; without one the interpreter that runs this."""
    if folder is None:
        return Path(sys.executable)
    python = folder.absolute() / "bin" / "python"
    if not python.exists():
        raise FileNotFoundError(f"{folder}: no environment there; make it with --prepare {folder}")
    return python


def versions(python: Path) -> tuple[str, dict[str, str]]:
    """Version of Python and of every distribution in its environment, names in lower case with hyphens."""
    output = subprocess.run(
        [str(python), "-c", VERSIONS], check=True, capture_output=True, text=True, cwd="/"
    ).stdout
    found = json.loads(output)
    return found["python"], found["distributions"]


def missing_tools() -> list[str]:
    """Commands that a measurement needs and that are not on PATH."""
    return [name for name in ("wrk", "taskset") if shutil.which(name) is None]


def cpu_model() -> str:
    """The name of the processor as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def wrk_version() -> str:
    """wrk prints its version above its usage and exits with 1."""
    words = subprocess.run(["wrk", "-v"], check=False, capture_output=True, text=True).stdout.split()
    return words[1] if len(words) > 1 else "unknown"


def commit() -> str:
    """The checkout's commit, and whether files of the packages differ from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True
    ).stdout.strip()
    if not head:
        return "unknown"
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "packages"], check=False).returncode
    return f"{head} with changes" if changed else head


def conditions(python: Path) -> list[str]:
    """Lines that say where figures come from: processor, kernel, interpreter, tool, commit, load."""
    number, _ = versions(python)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        f"Measured {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())} at commit {commit()}.",
        f"{cpu_model()}, {os.cpu_count()} CPUs; {platform.system()} {platform.release()}; "
        f"CPython {number}; wrk {wrk_version()}.",
        f"Load averages of the machine at the end (1, 5, 15 minutes): {load}.",
    ]
