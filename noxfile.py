"""The checks of this repository, one session each; `python3 scripts/dev.py test` runs them all.

A package is a folder below `packages/`; none is named here, so a new one is checked from its first day.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2024.10.9"

ROOT = Path(__file__).parent.resolve()
REPORTS = ROOT / ".nox" / "reports"
SUPPORTED = ("3.13", "3.12", "3.11", "3.10")


def use_installed_pythons() -> None:
    """Put the interpreters of pyenv, whose shims refuse versions that are not active, at the end of PATH."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [path for path in versions.glob("3.*/bin") if re.fullmatch(r"3\.\d+\.\d+", path.parent.name)]
    found.sort(key=lambda path: tuple(map(int, path.parent.name.split("."))), reverse=True)
    kept = [part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != versions.parent / "shims"]
    os.environ["PATH"] = os.pathsep.join([*kept, *map(str, found)])


use_installed_pythons()
MAIN = next(
    (v for v in SUPPORTED if shutil.which(f"python{v}")), f"{sys.version_info[0]}.{sys.version_info[1]}"
)
PYTHONS = sorted({*SUPPORTED, MAIN}, key=lambda version: int(version.split(".")[1]))

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"

FILES = sorted(ROOT.glob("packages/*/pyproject.toml"))
TABLES: dict[str, dict[str, Any]] = {path.parent.name: nox.project.load_toml(path) for path in FILES}
PROJECTS: dict[str, dict[str, Any]] = {folder: table["project"] for folder, table in TABLES.items()}
FOLDERS = sorted(PROJECTS, key=lambda folder: (folder != "core", folder != "testkit", folder))
EXAMPLES = [str(path.parent.relative_to(ROOT)) for path in sorted(ROOT.glob("examples/*/pyproject.toml"))]
GROUPS = nox.project.load_toml(ROOT / "pyproject.toml")
BUILDING = ("hatchling>=1.27", "editables>=0.5")


def module(folder: str) -> str:
    """The import name of the package in a folder."""
    return next(path.parent.name for path in (ROOT / "packages" / folder / "src").glob("*/__init__.py"))


def workers() -> list[str]:
    """Names of every WSGI and ASGI worker, the sync worker first."""
    names = [name for folder in FOLDERS for name in entry_points(folder, "hostler.workers")]
    return sorted(names, key=lambda name: name != "sync")


def entry_points(folder: str, group: str) -> list[str]:
    """Names that a package registers in a group."""
    return list(PROJECTS[folder].get("entry-points", {}).get(group, ()))


def group(name: str) -> tuple[str, ...]:
    """The requirements of a group of the root project file."""
    return nox.project.dependency_groups(GROUPS, name)


def own_group(*folders: str) -> list[str]:
    """What the tests of these packages need besides the root's group: their own group `test`."""
    tables = [TABLES[folder] for folder in folders if "test" in TABLES[folder].get("dependency-groups", {})]
    return [word for table in tables for word in nox.project.dependency_groups(table, "test")]


def editable(session: nox.Session, *requirements: str) -> None:
    """All packages and examples of the checkout, as they are, with what else is needed."""
    session.install(*BUILDING)
    folders = [f"./packages/{folder}" for folder in FOLDERS] + [f"./{example}" for example in EXAMPLES]
    session.install(
        "--no-build-isolation", *(part for path in folders for part in ("-e", path)), *requirements
    )


def pytest(session: nox.Session, report: str, *arguments: str, under: tuple[str, ...] = ()) -> None:
    """Run pytest with a report that the closing line sums up, and a root for temporary files of its own.

    Sessions run side by side, and pytest clears old directories of a shared root. The path is short: the name
    of a Unix socket has 107 octets.
    """
    REPORTS.mkdir(parents=True, exist_ok=True)
    python = session.python if isinstance(session.python, str) else MAIN
    file = REPORTS / f"{report}-{python}.xml"
    with tempfile.TemporaryDirectory(prefix="hostler-", ignore_cleanup_errors=True) as root:
        words = ("-q", f"--junitxml={file}", f"--basetemp={root}/pytest")
        inner = {"PYTEST_DEBUG_TEMPROOT": root}  # for the pytest that a test of the kit starts
        session.run("python", *under, "-m", "pytest", *words, *arguments, env=inner)


# -- without running anything ----------------------------------------------------------------------------


@nox.session(python=MAIN)
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=MAIN)
def types(session: nox.Session) -> None:
    """mypy --strict on every package and every example."""
    editable(session, *group("types"))
    names = [module(folder) for folder in FOLDERS]
    names += [
        path.parent.name for example in EXAMPLES for path in (ROOT / example / "src").glob("*/__init__.py")
    ]
    session.run("mypy", *(word for name in names for word in ("-p", name)))
    for path in [*sorted(ROOT.glob("examples/*/*.py")), ROOT / "scripts" / "dev.py"]:
        session.run("mypy", str(path))


@nox.session(python=MAIN)
def build(session: nox.Session) -> None:
    """For each package the sdist, then the wheel from that sdist; and its version as hatch reads it."""
    session.install("build>=1.2", "hatch>=1.14", "twine>=5", *BUILDING)
    out = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(out, ignore_errors=True)
    # Hatch makes an environment of its own, into which nox's choice of an interpreter must not reach.
    hatch = {"UV_PYTHON": None, "VIRTUAL_ENV": None, "HATCH_DATA_DIR": str(out.parent / "hatch")}
    for folder in FOLDERS:
        session.run(
            "python", "-m", "build", "--no-isolation", "--outdir", str(out), f"packages/{folder}", silent=True
        )
        with session.chdir(f"packages/{folder}"):
            session.run("hatch", "version", env=hatch, silent=True)
    session.run("twine", "check", "--strict", *map(str, sorted(out.iterdir())))
    for wheel in sorted(out.glob("*.whl")):
        names = session.run("python", "-m", "zipfile", "-l", str(wheel), silent=True) or ""
        for wanted in ("py.typed", "LICENSE"):
            if wanted not in names:
                session.error(f"{wheel.name} holds no {wanted}")


@nox.session(python=MAIN)
def docs(session: nox.Session) -> None:
    """The settings reference is current, links lead somewhere, console blocks work."""
    editable(session, *group("test"), *group("frameworks"), *own_group("dirty"))
    pytest(session, "docs", "tests/docs")


@nox.session(python=MAIN)
def coverage(session: nox.Session) -> None:
    """The rooms that read and write HTTP are covered to the last branch by their own tests."""
    editable(session, *group("test"))
    data = f"--data-file={Path(session.create_tmp()).resolve() / 'coverage'}"
    measured = ("-m", "coverage", "run", data, "--branch", "--source=hostler.http,hostler.http1")
    where = ("packages/core/tests/http", "packages/core/tests/http1")
    pytest(session, "coverage", *where, under=measured)
    session.run("coverage", "report", data, "--show-missing", "--skip-covered", "--fail-under=100")


# -- a package alone -------------------------------------------------------------------------------------


def own_requirements(folder: str) -> list[str]:
    """Folders of our own packages that a package depends on, itself last."""
    by_name = {project["name"]: name for name, project in PROJECTS.items()}
    needed: list[str] = []
    for requirement in PROJECTS[folder].get("dependencies", ()):
        name = re.split(r"[\[<>=!~; ]", requirement)[0]
        if name in by_name:
            needed += [each for each in own_requirements(by_name[name]) if each not in needed]
    return [*needed, folder]


def add_minimal(folder: str) -> None:
    """Add the session that tests the wheel of one package, installed with nothing but what it declares."""

    @nox.session(name=f"minimal-{folder}", python=MAIN, reuse_venv=False)
    def minimal(session: nox.Session) -> None:
        wheels = Path(session.create_tmp()).resolve() / "wheels"
        shutil.rmtree(wheels, ignore_errors=True)
        session.install(*BUILDING)
        needed = own_requirements(folder)
        for each in needed:
            with session.chdir(f"packages/{each}"):
                session.run(
                    "python", "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels), silent=True
                )
        fresh: list[str] = []
        if session.venv_backend == "uv":  # its cache would serve yesterday's wheel of the same version
            fresh = [f"--refresh-package={PROJECTS[each]['name']}" for each in needed]
        session.install(
            *fresh, *map(str, sorted(wheels.glob("*.whl"))), *group("minimal"), *own_group(folder)
        )
        others = [module(each) for each in FOLDERS if each not in needed]
        probe = "import importlib.util, sys; found = [n for n in sys.argv[1:] if importlib.util.find_spec(n)]"
        session.run("python", "-c", f"{probe}; sys.exit(f'not alone: {{found}}' if found else 0)", *others)
        tests = ROOT / "packages" / folder / "tests"
        if not any(tests.rglob("test_*.py")):
            session.skip(f"packages/{folder} has no tests of its own")
        session.chdir(session.create_tmp())
        configuration = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tests.parent))
        pytest(session, f"minimal-{folder}", *configuration, "-m", "not load and not soak", str(tests))

    minimal.__doc__ = f"The wheel of packages/{folder} alone."


for _folder in FOLDERS:
    add_minimal(_folder)


# -- together --------------------------------------------------------------------------------------------


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The main Python runs everything but what has a session of its own, the others a part; or what is named."""
    editable(session, *group("test"), *group("frameworks"), *own_group(*FOLDERS))
    quick = ("-m", "not load and not soak")
    packages = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("packages/*/tests"))
    if session.posargs:
        pytest(session, "tests", *session.posargs)
    elif session.python == MAIN:
        examples = [f"{example}/tests" for example in EXAMPLES if (ROOT / example / "tests").is_dir()]
        elsewhere = ("--ignore=tests/conformance", "--ignore=tests/docs")
        pytest(session, "tests", *quick, "tests", *packages, *examples, *elsewhere)
    elif session.python == SUPPORTED[-1]:
        pytest(session, "tests", *quick, *packages)
    else:
        pytest(session, "tests", *quick, "tests/architecture", "packages/core/tests")


@nox.session(python=sorted({MAIN, SUPPORTED[-1]}))
def conformance(session: nox.Session) -> None:
    """Every worker and every protocol passes the kit."""
    editable(session, *group("test"))
    pytest(session, "conformance", "-m", "not load and not soak", "tests/conformance", *session.posargs)


@nox.session(python=MAIN)
def load(session: nox.Session) -> None:
    """Tests that take tens of seconds, with wrk and kill -9."""
    editable(session, *group("test"), *group("frameworks"), *own_group(*FOLDERS))
    pytest(session, "load", "-m", "load", "--timeout=600", *session.posargs)


@nox.session(python=MAIN, default=False)
def soak(session: nox.Session) -> None:
    """Tests that take minutes."""
    editable(session, *group("test"), *group("frameworks"), *own_group(*FOLDERS))
    pytest(session, "soak", "-m", "soak", "--timeout=3600", *session.posargs)


@nox.session(python=MAIN, default=False)
def autobahn(session: nox.Session) -> None:
    """Autobahn's WebSocket suite, which needs a Python 2.7 with pip; arguments go to tests/autobahn/run.py."""
    editable(session, *group("test"))
    session.run("python", "tests/autobahn/run.py", *session.posargs)


@nox.session(python=MAIN, default=False)
def fuzz(session: nox.Session) -> None:
    """Octets by chance, guided by coverage, to what reads octets of strangers; arguments go to tests/fuzz/fuzz.py."""
    editable(session, *group("test"), *group("fuzz"))
    session.run("python", "tests/fuzz/fuzz.py", *session.posargs)


@nox.session(python=MAIN, default=False)
def bench(session: nox.Session) -> None:
    """The benchmarks; arguments go to benchmarks/run.py."""
    editable(session, *group("bench"))
    session.run("python", "benchmarks/run.py", *session.posargs)
