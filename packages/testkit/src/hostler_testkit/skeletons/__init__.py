"""Distributions to begin a plugin with: each passes the kit as written.

The files are templates (`string.Template`) below the folder of their kind and below `common`; in their
paths the word `MODULE` stands for the import name.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template

KINDS = ("worker", "protocol", "service")


def write_skeleton(kind: str, name: str, directory: str | Path) -> list[Path]:
    """Write the distribution `hostler-NAME` into `directory/hostler-NAME`; the paths written.

    Raises ValueError for a kind or name that cannot be, FileExistsError when the folder is there already.
    """
    if kind not in KINDS:
        raise ValueError(f"no skeleton for {kind!r}: {', '.join(KINDS)}")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ValueError(f"{name!r} is no plugin name: small letters, digits and single hyphens")
    target = Path(directory) / f"hostler-{name}"
    if target.exists():
        raise FileExistsError(f"{target} exists already")
    module = "hostler_" + name.replace("-", "_")
    words = {"name": name, "module": module, "kind": kind, "plain": name.replace("-", "_")}
    words["title"] = "".join(part.capitalize() for part in name.split("-"))
    written: list[Path] = []
    root = files(__name__)
    for folder in ("common", kind):
        base = Path(str(root.joinpath(folder)))
        for source in sorted(base.rglob("*.tmpl")):
            relative = str(source.relative_to(base)).removesuffix(".tmpl").replace("MODULE", module)
            path = target / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Template(source.read_text()).substitute(words))
            written.append(path)
    return written
