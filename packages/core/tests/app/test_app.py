"""Applications by name, call and file, and how their errors are told apart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostler import _app
from hostler._app import broken, files_of, find, load, prepare_path
from hostler._named import named
from hostler.errors import AppError, ConfigError, PluginError
from hostler.settings import Settings

SHOP = """
def application(environ, start_response): ...
app = application
number = 3
class Site:
    wsgi = staticmethod(application)
    class deep:
        wsgi = staticmethod(application)
def factory(name="x", *more, debug=False):
    def made(environ, start_response): ...
    made.arguments = (name, more, debug)
    return made
def nothing(): ...
def failing(): raise TypeError("inside")
def needs(one): return application
"""


@pytest.fixture(autouse=True)
def _modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "d_shop.py").write_text(SHOP)
    (tmp_path / "d_broken.py").write_text("import d_missing_module\n")
    (tmp_path / "d_syntax.py").write_text("def x(:\n")
    (tmp_path / "d_empty.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("d_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "text",
    [
        "d_shop",
        "d_shop:application",
        "d_shop:app",
        "d_shop:Site.wsgi",
        "d_shop:Site.deep.wsgi",
        "d_shop: app",
    ],
)
def test_by_name(text: str) -> None:
    assert find(text) is sys.modules["d_shop"].application


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("d_shop:factory()", ("x", (), False)),
        ("d_shop:factory('prod', 1, debug=True)", ("prod", (1,), True)),
        ("d_shop:factory(['a', {'b': None}])", (["a", {"b": None}], (), False)),
    ],
)
def test_by_factory(text: str, arguments: Any) -> None:
    assert find(text).arguments == arguments


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("d_shop:missing", "has no 'missing'; perhaps d_shop:application"),
        ("d_empty", "the module d_empty has no 'application'$"),
        ("d_shop:Site.missing", "has no 'Site.missing'"),
        ("d_shop:number", "of type int and cannot be called"),
        ("d_shop:number()", "as a factory"),
        ("d_shop:factory(", "neither a name nor a call"),
        ("d_shop:3", "neither a name nor a call"),
        ("d_shop:factory(open('x'))", "must be literals"),
        ("d_shop:factory(**{'a': 1})", "must be literals"),
        ("d_shop:factory(*[1])", "must be literals"),
        ("d_shop:nothing()", "returned None"),
        ("d_shop:needs()", "cannot be called so"),
        (":app", "names no module"),
        ("d_shop.py", "is a file; write its module: d_shop:application"),
    ],
)
def test_what_is_not_there_is_one_line(text: str, words: str) -> None:
    with pytest.raises(AppError, match=words) as caught:
        find(text)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("d_missing:app", ModuleNotFoundError),
        ("d_broken:app", ModuleNotFoundError),
        ("d_syntax:app", SyntaxError),
        ("d_shop:failing()", TypeError),
    ],
)
def test_errors_of_the_users_code_pass(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        find(text)


def test_none_was_named() -> None:
    with pytest.raises(ConfigError, match="MODULE:CALLABLE"):
        load(Settings())


def test_search_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib").mkdir()
    monkeypatch.setattr(sys, "path", ["/usr/lib/python3"])
    prepare_path(Settings(pythonpath=("lib",)))
    prepare_path(Settings(pythonpath=("lib",)))
    assert sys.path == [str(tmp_path / "lib"), str(tmp_path), "/usr/lib/python3"]


# -- PasteDeploy ---------------------------------------------------------------------------------------


def test_paste_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_app.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install PasteDeploy"):
        load(Settings(paste="x.ini"))


def test_paste(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the package: what it is asked for."""
    package = tmp_path / "paste"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "deploy.py").write_text("def loadapp(uri, **more): return (uri, more)\n")
    (tmp_path / "x.ini").write_text("")
    for name in [name for name in sys.modules if name.partition(".")[0] == "paste"]:
        monkeypatch.delitem(sys.modules, name)
    found = load(Settings(paste="x.ini#shop", raw_paste_global_conf=("a=b=c",)))
    assert found == (
        f"config:{tmp_path}/x.ini",
        {"name": "shop", "relative_to": str(tmp_path), "global_conf": {"a": "b=c"}},
    )
    with pytest.raises(ConfigError, match="no file"):
        load(Settings(paste="none.ini"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "paste"]:
        del sys.modules[name]


# -- in development ------------------------------------------------------------------------------------


def failure(text: str) -> Exception:
    try:
        find(text)
    except Exception as error:
        return error
    raise AssertionError


def test_a_broken_application_shows_why() -> None:
    answered: list[Any] = []
    body = broken(failure("d_broken"), "wsgi")({}, lambda status, fields: answered.append((status, fields)))
    ((status, fields),) = answered
    assert status.startswith("500 ")
    assert dict(fields)["Content-Length"] == str(len(b"".join(body)))
    assert b"d_missing_module" in b"".join(body)


def test_a_broken_application_shows_why_by_asgi() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    def run(scope: Any) -> None:
        coroutine = broken(failure("d_syntax"), "asgi")(scope, None, send)
        with pytest.raises(StopIteration):
            coroutine.send(None)

    run({"type": "http"})
    start, body = sent
    assert start["status"] == 500
    assert all(isinstance(part, bytes) for pair in start["headers"] for part in pair)
    assert b"SyntaxError" in body["body"]
    with pytest.raises(RuntimeError, match="could not be loaded"):
        broken(failure("d_syntax"), "asgi")({"type": "lifespan"}, None, send).send(None)


def test_files_to_watch(tmp_path: Path) -> None:
    assert str(tmp_path / "d_syntax.py") in files_of(failure("d_syntax"))
    assert str(tmp_path / "d_broken.py") in files_of(failure("d_broken"))


# -- dotted paths of plugins ---------------------------------------------------------------------------


def test_named() -> None:
    assert named("d_shop:Site.wsgi") is sys.modules["d_shop"].application
    with pytest.raises(PluginError, match=r"has no 'nothing\.here'"):
        named("d_shop:nothing.here")
    with pytest.raises(ModuleNotFoundError):
        named("d_missing:x")
