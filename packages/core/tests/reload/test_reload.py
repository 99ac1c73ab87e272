"""Reloaders and real files."""

from __future__ import annotations

import importlib.util
import os
import queue
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostler import _reload
from hostler._named import named
from hostler._reload import Watcher, expand, inotify, open_automatic, open_reloader, reloader, source_files
from hostler._values import ReloaderType
from hostler.errors import ConfigError
from hostler.settings import Settings


class Told:
    """What a reloader told."""

    def __init__(self) -> None:
        self._paths: queue.Queue[str] = queue.Queue()

    def __call__(self, path: str) -> None:
        self._paths.put(path)

    def next(self) -> str:
        return self._paths.get(timeout=30)

    def nothing(self) -> bool:
        return self._paths.empty()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "r_watched.py"
    path.write_text("one = 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    __import__("r_watched")
    yield path
    del sys.modules["r_watched"]


def rewrite(path: Path, text: str = "two = 2\n") -> None:
    """As an editor does: a new file in place of the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


# The kernel's reloader needs a package that the core does not.
ENGINES = ["poll", *(["inotify"] if importlib.util.find_spec("watchfiles") else [])]


@pytest.fixture(params=ENGINES)
def watch(request: pytest.FixtureRequest, told: Told) -> Iterator[Any]:
    made: list[Watcher] = []

    def make(*extra: str) -> Watcher:
        watcher = (
            Watcher(extra, told, interval=0.02)
            if request.param == "poll"
            else named(inotify.open)(extra, told)
        )
        made.append(watcher)
        watcher.start()
        return watcher

    yield make
    for watcher in made:
        watcher.stop()
        watcher.join(30)
        assert not watcher.is_alive()


def test_a_module(watch: Any, told: Told, module: Path) -> None:
    watch()
    rewrite(module)
    assert told.next() == str(module)


def test_each_change_is_told(watch: Any, told: Told, module: Path) -> None:
    watch()
    for text in ("a = 1\n", "bb = 2\n", "ccc = 3\n"):
        rewrite(module, text)
        assert told.next() == str(module)


def test_an_extra_file(watch: Any, told: Told, tmp_path: Path) -> None:
    extra = tmp_path / "settings.ini"
    extra.write_text("a")
    watch(str(extra))
    extra.write_text("bb")
    assert told.next() == str(extra)


def test_an_extra_file_that_comes_later(watch: Any, told: Told, tmp_path: Path) -> None:
    watch(str(tmp_path / "*.html"))
    (tmp_path / "new.html").write_text("x")
    assert told.next() == str(tmp_path / "new.html")


def test_a_pattern_through_directories(watch: Any, told: Told, tmp_path: Path) -> None:
    deep = tmp_path / "templates" / "a"
    deep.mkdir(parents=True)
    page = deep / "page.html"
    page.write_text("x")
    watch(str(tmp_path / "templates" / "**" / "*.html"))
    rewrite(page, "yy")
    assert told.next() == str(page)


def test_the_target_of_a_link(watch: Any, told: Told, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "file"
    target.write_text("x")
    (tmp_path / "link").symlink_to(target)
    watch(str(tmp_path / "link"))
    target.write_text("yy")
    assert told.next() == str(tmp_path / "link")


def test_a_file_of_a_module_that_failed(watch: Any, told: Told, tmp_path: Path) -> None:
    failed = tmp_path / "failed.py"
    failed.write_text("def x(:\n")
    watcher = watch()
    watcher.watch([str(failed)])
    # It is looked at for the first time some time after: change it until that is seen.
    number = 0
    while told.nothing():
        number += 1
        rewrite(failed, f"x = {number}\n")
        watcher.join(0.05)
    assert told.next() == str(failed)


def test_a_file_that_goes_away_is_no_change_until_it_is_back(told: Told, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    watcher = Watcher([str(path)], told)
    assert watcher._look(first=True) == ""
    path.unlink()
    assert watcher._look() == ""
    path.write_text("yy")
    assert watcher._look() == str(path)
    assert watcher._look() == ""


def test_pythons_own_files_are_not_watched(module: Path) -> None:
    found = source_files()
    assert str(module) in found
    assert os.__file__ not in found


def test_odd_modules_do_no_harm(monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    class Odd:
        __file__ = 3

    monkeypatch.setitem(sys.modules, "r_odd", Odd())  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "r_none", None)  # type: ignore[arg-type]
    nul = type(sys)("r_nul")
    nul.__file__ = "a\0b"
    monkeypatch.setitem(sys.modules, "r_nul", nul)
    assert Watcher([], told)._look() == ""


def test_expand(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("")
    assert expand([f"{tmp_path}/*.html", f"{tmp_path}/*.none"]) == {f"{tmp_path}/a.html"}


# -- which one -----------------------------------------------------------------------------------------


def test_by_settings(told: Told) -> None:
    assert open_reloader(Settings(), None, told) is None
    assert type(open_reloader(Settings(), reloader, told)) is Watcher
    watcher = open_reloader(Settings(reload_extra_files=("x", "")), reloader, told)
    assert watcher is not None
    assert watcher._extra == ["x"]


def test_auto_without_the_library(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reload.importlib.util, "find_spec", lambda name: None)
    assert type(open_automatic([], told)) is Watcher


def test_a_missing_library_is_one_line(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    monkeypatch.delitem(sys.modules, "hostler._reload_notify", raising=False)
    with pytest.raises(ConfigError, match="needs the package watchfiles"):
        open_reloader(Settings(), inotify, told)


def test_a_strangers_reloader(told: Told) -> None:
    chosen = ReloaderType("mine", open=f"{__name__}:open_mine")
    found: Any = open_reloader(Settings(reload_extra_files=("a",)), chosen, told)
    assert found == ("mine", ("a",))


def open_mine(extra: Any, changed: Any) -> Any:
    del changed
    return "mine", extra
