"""Every test that the page of this directory names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
NAMES = re.findall(r"`([\w/]*test_\w+(?:::\w+)?…?)`", (HERE / "README.md").read_text(encoding="utf-8"))


def named(module):
    """The file of a module, as the page writes it."""
    return ROOT / f"{module}.py" if "/" in module else HERE / f"{module}.py"


@pytest.mark.parametrize("name", sorted(set(NAMES)))
def test_what_is_named_exists(name):
    if name.endswith("…"):
        name = f"test_weaknesses::{name}"
    module, _, function = name.partition("::")
    text = named(module).read_text(encoding="utf-8")
    if function:
        pattern = function.replace("…", r"\w+")
        assert re.search(rf"^ *(async )?def {pattern}\(", text, re.MULTILINE)


def test_the_page_names_enough():
    assert len(set(NAMES)) > 100
