"""The drawing of ARCHITECTURE.md held to the code: who imports whom."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "packages" / "core" / "src" / "hostler"
PACKAGES = {
    path.name: path for path in sorted(ROOT.glob("packages/*/src/*")) if (path / "__init__.py").exists()
}
PLUGINS = {name: path for name, path in PACKAGES.items() if name not in ("hostler", "hostler_testkit")}
FACES = {"hostler.plugin", "hostler.settings", "hostler.errors", "hostler.drive", "hostler.gateway"}
HINTS = "_known.py"
"""The one file of the core that may name the official plugins: what to install for a name."""

PROCESS_TOWER = re.compile(
    r"_(arbiter|child|children|worker_context|service_context|signals|heartbeat|reexec|systemd|privileges|pidfile"
    r"|daemon|hooks|sources|configuration|cli|control|listeners|bind|boot|nursery|deaths|deadlines|reloading|recycling"
    r"|services|state|handles|birth|controlled|death|title)(_\w+)?$"
)
REQUEST_TOWER = re.compile(
    r"(http|http1|gateway|_wsgi|_environ|_input|_drive|_shared_drive|_green_drive|_channel|_sync_serve)\b"
)


def imports(path: Path, package: str) -> set[str]:
    """Modules that a file imports at run time, absolute; imports for types only are left out."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.orelse:
                visit(child)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names if node.module == package)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def files(package: str) -> list[Path]:
    """The modules of a package."""
    return sorted(PACKAGES[package].rglob("*.py"))


def inside(name: str) -> str:
    """`hostler.http1._body` -> `http1`: the room of a core module."""
    return name.removeprefix("hostler.").split(".")[0]


@pytest.mark.parametrize("package", PLUGINS)
def test_plugins_import_public_faces_only(package: str) -> None:
    """A stranger's package could do the same."""
    for path in files(package):
        for name in imports(path, "hostler"):
            ours = name.split(".")[0]
            if ours == "hostler":
                allowed = (
                    any(name == face or name.startswith(f"{face}.") for face in FACES) or name == "hostler"
                )
                assert allowed, f"{path.relative_to(ROOT)} imports {name}"
            elif ours.startswith("hostler_"):
                assert ours == package, f"{path.relative_to(ROOT)} imports another plugin: {name}"


def test_testkit_imports_public_faces_only() -> None:
    """The kit proves strangers' plugins with what strangers have."""
    for path in files("hostler_testkit"):
        private = {name for name in imports(path, "hostler") if name.startswith("hostler._")}
        assert not private, f"{path.relative_to(ROOT)} imports {private}"


def test_core_names_no_plugin() -> None:
    """Whatever the core knows of a plugin stands in its value; only the hints for the user name packages."""
    names = re.compile("|".join(rf"\b{name}\b" for name in PLUGINS))
    for path in files("hostler"):
        if path.name != HINTS:
            named = names.findall(path.read_text())
            assert not named, f"{path.relative_to(ROOT)} names {named}"


def test_towers_are_apart() -> None:
    """Keeping processes alive and answering requests know nothing of each other; they meet in the contexts."""
    for path in files("hostler"):
        relative = path.relative_to(CORE)
        room = relative.parts[0].removesuffix(".py")
        targets = {inside(name) for name in imports(path, "hostler") if name.startswith("hostler.")}
        if REQUEST_TOWER.fullmatch(room):
            wrong = {target for target in targets if PROCESS_TOWER.fullmatch(target)}
            assert not wrong, f"{relative} (request tower) imports {wrong}"
        elif PROCESS_TOWER.fullmatch(room):
            wrong = {target for target in targets if REQUEST_TOWER.fullmatch(target) and target != "http"}
            assert not wrong, f"{relative} (process tower) imports {wrong}"


@pytest.mark.parametrize("room", ["http", "http1", "gateway"])
def test_protocols_do_no_io(room: str) -> None:
    """Bytes in, events out: no socket, selector, thread, clock, logger or setting."""
    forbidden = {
        "socket",
        "selectors",
        "select",
        "threading",
        "asyncio",
        "ssl",
        "logging",
        "hostler.settings",
    }
    for path in sorted((CORE / room).rglob("*.py")):
        names = imports(path, "hostler")
        assert not names & forbidden, f"{path.relative_to(ROOT)} imports {names & forbidden}"
        if "time" in names:
            assert path.name == "_date.py", f"{path.relative_to(ROOT)} reads a clock"


def test_http_imports_nothing_of_ours() -> None:
    """`http` is the floor of the request tower."""
    for path in sorted((CORE / "http").rglob("*.py")):
        others = {name for name in imports(path, "hostler") if name.startswith("hostler")}
        wrong = {name for name in others if inside(name) != "http" and name != "hostler"}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_entry_points_are_read_in_one_module() -> None:
    """`importlib.metadata` has one user."""
    users = {
        path.name
        for path in files("hostler")
        if any("importlib.metadata" in n for n in imports(path, "importlib"))
    }
    assert users <= {"_plugins.py"}


def test_core_never_imports_asyncio() -> None:
    """The asyncio driver has one user, which brings it; `ctl top` draws its screen with it, and serves nothing."""
    for path in files("hostler"):
        if path.name == "_control_top.py":
            continue
        assert "asyncio" not in imports(path, "hostler"), path


HEAVY = ("gevent", "eventlet", "greenlet", "h2", "hpack", "asyncio", "ssl", "wsproto", "uvloop", "h11")


@pytest.mark.parametrize("package", PLUGINS)
def test_values_are_light(package: str) -> None:
    """Importing a plugin's top module, for `--help`, loads nothing of what it needs to run."""
    code = f"import sys, {package}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
