"""Write `docs/settings.md` from the declarations of the core and of the project's own plugins.

    python scripts/settings_reference.py            # write it
    python scripts/settings_reference.py --check    # fail when it is not current

Needs all packages of the workspace installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from hostler._arguments import choices, plain
from hostler._known import OFFICIAL
from hostler._names import Name, Names
from hostler._plugins import KINDS, Registry, canonical, search_path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"

HEAD = """\
<!-- Written by scripts/settings_reference.py from the declarations; do not edit. -->

# Settings

Every setting can be given in four places; a later one of this list counts:

1. its default;
2. the configuration file: `-c FILE`, or `hostler.conf.py`, `hostler.toml` or `[tool.hostler]` of `pyproject.toml` in
   the working directory (the first that is there). A Python file sets variables, a TOML file keys; a plugin's
   settings may stand in a table of its name (`[gthread]`, `queue_wait = 5`);
3. the environment: the variable named below, `HOSTLER_CMD_ARGS` with flags as on the command line before all of
   them. A list is written as a shell would (`HOSTLER_BIND=":80 [::1]:80"`). `PORT` moves the default address only;
4. the command line.

`hostler config` prints each value with where it came from; `hostler --check-config APP` checks them and loads the
application. Times are seconds, or text with a unit (`500ms`, `2m`); sizes are octets, or text with a unit (`64k`,
`1GiB`); permissions are octal. An unknown name is an error that names the nearest known one. In a Python file a
name that is no slip of a setting's, a name with a leading underscore, and one in capitals are the file's own.

```toml
# hostler.toml
workers = 4
worker-class = "gthread"
threads = 8
timeout = "1m"

[gthread]
queue_wait = 5

[[listen]]
bind = "unix:/run/app.sock"
socket_mode = 0o660
forwarded_allow_ips = "unix"

[[listen]]
bind = "https://0.0.0.0:443"
certfile = "/etc/ssl/app.pem"
```

```python
# hostler.conf.py, or a gunicorn.conf.py that is named with -c
import multiprocessing

workers = multiprocessing.cpu_count() * 2 + 1
worker_class = "gthread"
threads = 8
gthread_queue_wait = 5


def post_fork(server, worker):
    server.log.info("worker %s", worker.pid)
```
"""


def page() -> str:
    """The whole text. Raises `SystemExit` when a package of the workspace is not installed or broken."""
    official = set(OFFICIAL.values())
    entries = Registry.installed(search_path()).entries()
    registry = Registry(entry for entry in entries if canonical(entry.dist) in official)
    names = Names(registry)
    missing = official - {canonical(entry.dist) for entry in registry.entries()}
    of_plugins = names.of_plugins()
    if missing or registry.warnings:
        raise SystemExit(
            "\n".join([*(f"not installed: {dist}" for dist in sorted(missing)), *registry.warnings])
        )
    owners = _owners(registry)
    parts = [HEAD]
    for section, group in _sections(names.core()).items():
        parts += [f"## {section}\n", *(_entry(name) for name in group)]
    for section, group in sorted(_sections(of_plugins).items()):
        parts += [f"## {section} (`{owners[group[0].plugin]}`)\n", *(_entry(name) for name in group)]
    return "\n".join(parts).rstrip() + "\n"


def _owners(registry: Registry) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for kind, (group, _) in KINDS.items():
        for entry in registry.entries():
            if entry.group == group:
                found[registry.value(kind, entry).name] = canonical(entry.dist)
    return found


def _sections(names: Iterable[Name]) -> dict[str, list[Name]]:
    found: dict[str, list[Name]] = {}
    for name in names:
        found.setdefault(name.section, []).append(name)
    return found


def _entry(name: Name) -> str:
    declaration = name.declaration
    text = declaration.help
    if declaration.ignored:
        text += f" Accepted without effect: {declaration.ignored}."
    return f"### `{name.full}`\n\n{' · '.join(_facts(name))}\n\n{_sentence(text)}\n"


def _facts(name: Name) -> Iterator[str]:
    kind = name.declaration.kind
    value = "" if kind.flag == "switch" else f" {kind.name}" if kind.flag != "optional" else f" [{kind.name}]"
    flags = name.flags
    if kind.flag == "switch" and name.default is True:
        flags = name.negations
    if flags:
        yield ", ".join(f"`{flag}{value}`" for flag in flags)
    else:
        yield "files only"
    if name.declaration.aliases:
        yield "also " + ", ".join(f"`{alias}`" for alias in name.declaration.aliases)
    variables = [*filter(None, [name.declaration.environment]), name.variable]
    if kind.name not in ("CALLABLE", "TABLE", "TABLES"):
        yield ", ".join(f"`{variable}`" for variable in variables)
    if choices(name):
        yield "one of " + ", ".join(f"`{word}`" for word in choices(name))
    if kind.name != "CALLABLE":
        yield f"default {_default(name)}"


def _default(name: Name) -> str:
    if name.default is None or name.default in ("", ()):
        return "none" if name.declaration.kind.name != "BOOL" else "off"
    if isinstance(name.default, bool):
        return "on" if name.default else "off"
    return f"`{plain(name)}`"


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:] if not text.startswith(("on_", "when_", "pre_")) else text
    return text if text.endswith((".", "!", ")")) else f"{text}."


def main() -> int:
    """Write or check the page."""
    text = page()
    if "--check" in sys.argv[1:]:
        if PAGE.exists() and PAGE.read_text() == text:
            return 0
        print(f"{PAGE} is not current: run {sys.argv[0]}", file=sys.stderr)
        return 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
