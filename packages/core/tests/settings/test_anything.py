"""Whatever is typed or written: a configuration, or an error of one line; never a traceback."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from hostler._cli import one_line
from hostler._configuration import Configuration, build
from hostler._plugins import Entry, Registry
from hostler.errors import HostlerError
from hostler.settings import Settings, declarations
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

CORE = [
    Entry("hostler.workers", "sync", "hostler._sync:worker", "hostler", "0"),
    Entry("hostler.protocols", "http1", "hostler.http1:protocol", "hostler", "0"),
    Entry("hostler.loggers", "std", "hostler._log:logger", "hostler", "0"),
    Entry("hostler.reloaders", "auto", "hostler._reload:automatic", "hostler", "0"),
]
NAMES = list(declarations(Settings))
FLAGS = ["--" + name.replace("_", "-") for name in NAMES]
FLAGS += ["-w", "-b", "-k", "-c", "--keep-alive", "--", "-", "--no-", "-kx:y"]

texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)
values = st.one_of(
    texts,
    st.sampled_from(
        ["1", "0", "auto", "sync", "h1", "unix:/x", ":1", "a:b", "10.0.0.0/8", "1e9", "{}", "-1", "v1"]
    ),
)
arguments = st.lists(st.one_of(st.sampled_from(FLAGS), values), max_size=6)
environment = st.dictionaries(
    st.one_of(
        st.sampled_from([f"HOSTLER_{name.upper()}" for name in NAMES]),
        st.sampled_from(
            ["WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS", "SENDFILE", "HOSTLER_DISABLE_PLUGINS"]
        ),
    ),
    values,
    max_size=3,
)
scalars = st.one_of(st.booleans(), st.integers(-5, 2**40), st.floats(allow_nan=False), values)
plain = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(texts, scalars, max_size=2))
named = st.dictionaries(st.one_of(st.sampled_from(NAMES), texts), plain, max_size=4)


def outcome(argv: list[str], environ: dict[str, str], file: str, name: str) -> Configuration | str:
    before = list(sys.path)
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / name).write_text(file)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                return build(argv, environ=environ, directory=directory, registry=Registry(CORE))
        except HostlerError as error:
            return one_line(str(error))
        except SystemExit as end:  # --help and --version
            return "asked" if end.code == 0 else ""
        finally:
            sys.path[:] = before


def sound(result: Configuration | str) -> None:
    if isinstance(result, str):
        assert result
        assert result.isprintable()


relaxed = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


@relaxed
@given(arguments, environment)
@example(["--workers"], {})
@example(["-k", "a:b"], {})
@example([], {"HOSTLER_CONFIG": "\n"})
def test_any_arguments_and_environment(argv: list[str], environ: dict[str, str]) -> None:
    sound(outcome(argv, environ, "", "nothing"))


@relaxed
@given(st.text(max_size=40))
def test_any_line_of_arguments(line: str) -> None:
    sound(outcome([], {"HOSTLER_CMD_ARGS": line}, "", "nothing"))


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return "inf" if value > 1e300 else "-inf" if value < -1e300 else repr(float(value))
    return json.dumps(value)


@relaxed
@given(named)
def test_any_toml(table: dict[str, Any]) -> None:
    text = "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in table.items())
    sound(outcome([], {}, text, "hostler.toml"))


@relaxed
@given(st.text(max_size=60))
def test_any_text_as_toml(text: str) -> None:
    with contextlib.suppress(UnicodeEncodeError):  # lone surrogates are no text of a file
        sound(outcome([], {}, text, "hostler.toml"))


@relaxed
@given(named)
def test_any_python_values(table: dict[str, Any]) -> None:
    text = "\n".join(
        f"{key} = {value!r}" for key, value in table.items() if key.isidentifier() and key.isascii()
    )
    sound(outcome([], {}, text, "hostler.conf.py"))


@relaxed
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["bind", "certfile", "socket_mode", "user", "x"]), plain), max_size=2
    )
)
def test_any_listen_tables(tables: list[dict[str, Any]]) -> None:
    sound(outcome([], {}, f"listen = {tables!r}", "hostler.conf.py"))
