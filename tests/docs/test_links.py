"""The documentation's links lead somewhere, every page can be reached, and its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (".", "docs", "examples/*", "packages/*", "benchmarks")
PAGES = sorted({path for folder in FOLDERS for path in ROOT.glob(f"{folder}/*.md")})
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    """Targets of the page's links, code left out."""
    text = re.sub(r"```.*?```|`[^`\n]*`(?!\])", "", page.read_text(), flags=re.DOTALL)
    return LINK.findall(text)


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the page's headings."""
    titles = re.findall(r"^#+\s+(.*?)\s*$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Files are there, and headings in them."""
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.relative_to(ROOT)} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.relative_to(ROOT)} links to {link}"


def test_every_page_is_reached() -> None:
    """From the index, in some steps."""
    seen: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md", ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        waiting += [
            (page.parent / link.partition("#")[0]).resolve() for link in links(page) if ":" not in link
        ]
    assert sorted(path.name for path in set((ROOT / "docs").glob("*.md")) - seen) == []


def test_the_two_commands_are_what_the_script_knows() -> None:
    """The README's commands are words of `scripts/dev.py`."""
    commands = re.findall(
        r"^\$ python3 (scripts/dev\.py) (\w+)$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert [word for _, word in commands] == ["run", "test"]
    told = subprocess.run(
        [sys.executable, str(ROOT / "scripts/dev.py"), "help"], capture_output=True, text=True
    )
    for script, word in commands:
        assert f"{script} {word}" in told.stdout


def flags() -> set[str]:
    """Every flag of the command, the installed plugins' among them."""
    command = [sys.executable, "-m", "hostler", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", told))


def test_commands_in_the_documentation_have_flags_that_exist() -> None:
    """`hostler …` and `server …` in code blocks."""
    known = flags() | {"--help", "-h", "--version"}
    for page in PAGES:
        for block in re.findall(r"```\w*\n(.*?)```", page.read_text(), flags=re.DOTALL):
            for line in block.replace("\\\n", " ").split("\n"):
                words = line.removeprefix("$ ").split()
                if (
                    not words
                    or words[0] not in ("hostler", "server")
                    or words[1:2] in (["ctl"], ["config"], ["plugins"])
                ):
                    continue
                used = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
                assert used <= known, f"{page.relative_to(ROOT)}: {line}"
