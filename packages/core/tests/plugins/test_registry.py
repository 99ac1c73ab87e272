"""The registry: names resolved, conflicts and versions told, broken plugins kept apart. No metadata is read."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from hostler._known import INSTEAD, OFFICIAL, SAME
from hostler._plugins import KINDS, Entry, Registry
from hostler._values import LoggerType, ProtocolType, WorkerType
from hostler.errors import PluginError

MODULE = "values_of_a_test"


@pytest.fixture(autouse=True)
def _module() -> Iterator[None]:
    module = types.ModuleType(MODULE)
    vars(module).update(
        mine=WorkerType("mine", "m:s"),
        future=WorkerType("future", "m:s", api=(2, 0)),
        minor=WorkerType("minor", "m:s", api=(1, 99)),
        past=WorkerType("past", "m:s", api=(0, 9)),
        odd=WorkerType("odd", "m:s", api="1"),  # type: ignore[arg-type]
        protocol=ProtocolType("protocol", "m:o"),
        Klass=type("Klass", (), {}),
        inner=types.SimpleNamespace(deep=WorkerType("deep", "m:s")),
    )
    sys.modules[MODULE] = module
    yield
    del sys.modules[MODULE]


def entry(name: str, value: str = "mine", dist: str = "acme", kind: str = "workers") -> Entry:
    target = value if ":" in value else f"{MODULE}:{value}"
    return Entry(f"hostler.{kind}", name, target, dist, "1.0")


def refused(registry: Registry, name: str, kind: Any = WorkerType) -> str:
    with pytest.raises(PluginError) as caught:
        registry.find(kind, name)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_found_by_name() -> None:
    registry = Registry([entry("mine"), entry("protocol", "protocol", kind="protocols")])
    assert registry.find(WorkerType, "mine").name == "mine"
    assert registry.find(ProtocolType, "protocol").name == "protocol"
    assert registry.find(WorkerType, "mine") is registry.find(WorkerType, "mine")
    assert registry.names(WorkerType) == ("mine",)


def test_found_by_path() -> None:
    registry = Registry([])
    assert registry.find(WorkerType, f"{MODULE}:mine").name == "mine"
    assert registry.find(WorkerType, f"{MODULE}:inner.deep").name == "deep"
    assert "no attribute 'none'" in refused(registry, f"{MODULE}:none")
    assert "there is no module 'nowhere_at_all'" in refused(registry, "nowhere_at_all:x")


def test_two_of_one_name() -> None:
    registry = Registry([entry("mine", dist="one"), entry("mine", dist="two")])
    text = refused(registry, "mine")
    assert "one 1.0, two 1.0" in text
    assert "one#mine" in text
    assert registry.find(WorkerType, "two#mine").name == "mine"
    assert "no worker class 'mine' in a distribution 'three'" in refused(registry, "three#mine")
    assert [registry.state(e) for e in registry.entries()] == ["conflict", "conflict"]


def test_a_distributions_name_is_compared_as_packaging_does() -> None:
    registry = Registry([entry("mine", dist="Acme_Things")])
    assert registry.find(WorkerType, "acme-things#mine").name == "mine"


def test_reserved_names() -> None:
    impostor = entry("gevent", dist="acme")
    registry = Registry([impostor])
    text = refused(registry, "gevent")
    assert "pip install hostler-gevent" in text
    assert "acme 1.0 claims the name" in text
    assert registry.names(WorkerType) == ()
    assert registry.state(impostor).startswith("ignored: ")
    official = entry("gevent", dist="hostler_gevent")
    assert Registry([impostor, official]).find(WorkerType, "gevent").name == "mine"


@pytest.mark.parametrize("switch", ["mine", "acme", "Acme", "*"])
def test_disabled(switch: str) -> None:
    known = entry("mine", dist="Acme")
    registry = Registry([known], disabled=[switch])
    assert "disabled by disabled_plugins" in refused(registry, "mine")
    assert registry.state(known) == "disabled"
    assert "is disabled" in refused(registry, "acme#mine")
    assert registry.names(WorkerType) == ()


def test_the_core_cannot_be_disabled() -> None:
    registry = Registry([entry("sync", dist="hostler")], disabled=["*", "sync", "hostler"])
    assert registry.find(WorkerType, "sync").name == "mine"


def test_api() -> None:
    names = ("future", "minor", "past", "odd")
    registry = Registry([entry(name, name) for name in names])
    assert "(acme 1.0) needs plugin API 2.0; this hostler offers 1.0: upgrade hostler" in refused(
        registry, "future"
    )
    assert "1.99" in refused(registry, "minor")
    assert "upgrade acme" in refused(registry, "past")
    assert "(major, minor)" in refused(registry, "odd")
    assert {registry.state(e).partition(":")[0] for e in registry.entries() if e.name != "odd"} == {
        "incompatible"
    }


def test_values_of_another_kind() -> None:
    registry = Registry([entry("x", "protocol"), entry("y", "Klass")])
    assert "is a ProtocolType, not a WorkerType" in refused(registry, "x")
    assert "gunicorn's worker classes cannot be used" in refused(registry, "y")


def test_broken_modules(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_one.py").write_text("raise RuntimeError('at import')")
    (tmp_path / "broken_two.py").write_text("import not_there_at_all")
    (tmp_path / "broken_three.py").write_text(
        "from hostler.plugin import WorkerType\nworker = WorkerType('x', 'm:s', colour='red')"
    )
    (tmp_path / "broken_four.py").write_text("def f(:")
    registry = Registry(
        [entry(name, f"broken_{name}:worker") for name in ("one", "two", "three", "four", "five")]
    )
    assert "importing 'broken_one' from acme 1.0 failed: RuntimeError: at import" in refused(registry, "one")
    assert "acme 1.0 is installed but its dependency 'not_there_at_all' is missing" in refused(
        registry, "two"
    )
    assert "later plugin API" in refused(registry, "three")
    assert "SyntaxError" in refused(registry, "four")
    assert "there is no module 'broken_five'" in refused(registry, "five")


def test_a_broken_plugin_that_nobody_named_costs_a_warning() -> None:
    registry = Registry([entry("mine"), entry("gone", "nowhere_at_all:x"), entry("future", "future")])
    assert [one.name for one in registry.all(WorkerType)] == ["mine"]
    assert len(registry.warnings) == 2
    assert all(line.startswith("not used: ") for line in registry.warnings)


def test_nearest_names() -> None:
    registry = Registry([entry("mine"), entry("sync", dist="hostler")])
    assert "Did you mean 'mine'?" in refused(registry, "mien")
    assert "Did you mean 'gevent'?" in refused(registry, "gevnt")
    text = refused(registry, "something")
    assert "Did you mean" not in text
    assert "Installed: mine, sync" in text


@pytest.mark.parametrize(("group", "name"), OFFICIAL)
def test_official_plugins_that_are_not_installed(group: str, name: str) -> None:
    kind = next(kind for kind, (one, _) in KINDS.items() if one == group)
    assert f"pip install {OFFICIAL[group, name]}" in refused(Registry([]), name, kind)


@pytest.mark.parametrize("name", INSTEAD)
def test_gunicorns_workers_that_have_no_twin(name: str) -> None:
    text = refused(Registry([]), name)
    assert "cannot be used" in text
    assert f"The nearest here is '{INSTEAD[name][0]}'" in text
    assert "pip install" in text


@pytest.mark.parametrize("name", SAME)
def test_gunicorns_long_names(name: str) -> None:
    kind: Any = LoggerType if SAME[name] in ("std", "statsd") else WorkerType
    assert f"'{SAME[name]}' is not installed" in refused(Registry([]), name, kind)
    if kind is WorkerType:
        registry = Registry([entry(SAME[name], dist=OFFICIAL["hostler.workers", SAME[name]])])
        assert registry.find(WorkerType, name).name == "mine"
        assert len(registry.warnings) == 1
