"""Plugins of plugins: found in a group of their owner's, named as the core's own are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostler._plugins import Registry, scan, search_path
from hostler.errors import PluginError
from hostler.plugin import find_extension

GROUP = "hostler.acme_paints"


class Paint:
    """What the owner takes."""

    def __init__(self, colour: str, api: tuple[int, int] = (1, 0)) -> None:
        self.colour, self.api = colour, api


def distribution(site: Path, name: str, points: str, version: str = "1.0") -> None:
    directory = site / f"{name.replace('-', '_')}-{version}.dist-info"
    directory.mkdir(parents=True)
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (directory / "entry_points.txt").write_text(points)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of distributions: one that owns the group, one that offers for it."""
    directory = tmp_path / "site"
    distribution(directory, "acme", "[hostler.services]\nacme = acme_service:service\n")
    distribution(
        directory, "acme-red",
        f"[{GROUP}]\nred = acme_red:red\nlate = acme_red:late\nnothing = acme_red:nothing\nwrong = acme_red:__name__\n",
    )  # fmt: skip
    (directory / "acme_red.py").write_text(
        "from acme_kinds import Paint\nred = Paint('red')\nlate = Paint('late', (1, 999))\n"
    )
    module = type(sys)("acme_kinds")
    module.Paint = Paint  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "acme_kinds", module)
    monkeypatch.syspath_prepend(str(directory))
    yield directory
    sys.modules.pop("acme_red", None)


def refused(name: str) -> str:
    with pytest.raises(PluginError) as told:
        find_extension(Paint, GROUP, name, "paint")
    return str(told.value)


def test_found_by_every_way_of_naming(site: Path) -> None:
    """By name, by distribution, by module."""
    for name in ("red", "acme-red#red", "acme_red:red"):
        assert find_extension(Paint, GROUP, name, "paint").colour == "red"


def test_what_cannot_be_had_is_told_in_one_line(site: Path) -> None:
    """With what is installed, and where one would have to come from."""
    text = refused("reed")
    assert "no paint is named 'reed'. Did you mean 'red'?" in text
    assert f"entry-point group {GROUP}" in text
    assert "Installed: late, nothing, red, wrong" in text
    assert "upgrade hostler" in refused("late")
    assert "has no attribute" in refused("nothing")
    assert "not a Paint" in refused("wrong")
    assert "\n" not in text


def test_two_of_a_name_are_a_conflict(site: Path) -> None:
    """As with every plugin, DIST#NAME decides."""
    distribution(site, "other-red", f"[{GROUP}]\nred = acme_red:red\n")
    assert "is provided by acme-red 1.0, other-red 1.0" in refused("red")
    assert find_extension(Paint, GROUP, "other-red#red", "paint").colour == "red"


def test_switched_off(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that switches plugins off."""
    monkeypatch.setenv("HOSTLER_DISABLE_PLUGINS", "acme-red")
    assert "disabled" in refused("red")


def test_the_listing_knows_whose_group_it_is(site: Path) -> None:
    """An owner that is not there leaves a group unknown."""
    registry = Registry.installed(search_path())
    mine = next(entry for entry in scan(search_path()) if entry.group == GROUP and entry.name == "red")
    assert registry.state(mine) == "ok"
    without = Registry([mine])
    assert without.state(mine) == "unknown group"
