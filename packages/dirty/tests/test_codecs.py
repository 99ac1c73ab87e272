"""Codecs as entry points: a stranger's works as ours do, and what is wrong with one is told in a line."""

from __future__ import annotations

import asyncio
import dataclasses
import sys

import numpy
import pytest
from hostler.errors import ConfigError
from hostler_dirty import (
    DirtyConfigError,
    DirtyPayloadTooLargeError,
    DirtySerializationError,
    _blocking,
    close_dirty_client_async,
    codecs,
    get_dirty_client,
)
from hostler_dirty._service import validate
from hostler_dirty._settings import DirtySettings
from hostler_dirty.testing import inline
from pool_harness import Pool

ECHO = "pool_apps:Echo"
LITERAL, PLAIN, ODD = "acme_apps:Literal", "acme_apps:Plain", "acme_apps:Odd"

CODECS = '''
import ast
from hostler_dirty.codecs import Codec

def encode(value):
    """Python literals; octets of any size lie beside them."""
    if isinstance(value, bytes):
        return b"", [value]
    return repr(value).encode(), []

def decode(body, buffers, *, copy):
    if buffers:
        return bytes(buffers[0]) if copy else memoryview(buffers[0]).toreadonly()
    return ast.literal_eval(bytes(body).decode())

def refuse(body, buffers, *, copy):
    raise RuntimeError("out of order")

literal = Codec("literal", encode, decode, data_only=True)
odd = Codec("odd", encode, refuse)
'''
APPS = """
from hostler_dirty import DirtyApp

class Plain(DirtyApp):
    def echo(self, value):
        return value
    def kind(self, value):
        return type(value).__name__
    def each(self, values):
        for value in values:
            yield value, type(value).__name__
    def union(self, *, sets):
        return set().union(*sets)
    def unsendable(self):
        return bytearray(10_000_000)

class Literal(Plain):
    codec = "acme-literal"

class Odd(Plain):
    codec = "acme-codecs#odd"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A stranger's distribution with two codecs, and apps that use them."""
    site = tmp_path_factory.mktemp("site")
    directory = site / "acme_codecs-1.0.dist-info"
    directory.mkdir()
    (directory / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-codecs\nVersion: 1.0\n")
    (directory / "entry_points.txt").write_text(
        "[hostler.dirty_codecs]\nacme-literal = acme_codecs:literal\nodd = acme_codecs:odd\n"
    )
    (site / "acme_codecs.py").write_text(CODECS)
    (site / "acme_apps.py").write_text(APPS)
    sys.path.insert(0, str(site))
    yield site
    sys.path.remove(str(site))


@pytest.fixture(scope="module")
def spoken(site):
    """A pool in which four codecs are spoken; the stranger's is the default."""
    pool = Pool(
        [LITERAL, PLAIN, ODD, "pool_apps:Pickled"],
        extra_path=[site],
        codec="acme-literal",
        max_payload=1 << 20,
    )
    yield pool
    pool.close()


@pytest.fixture
def pool(spoken):
    spoken.join()
    return spoken


async def awaited(client, app, value):
    try:
        return await client.execute_async(app, "echo", value)
    finally:
        await close_dirty_client_async()


@pytest.mark.parametrize("app", [LITERAL, PLAIN])
def test_a_strangers_codec(pool, client, app):
    """Named by the app, or by `dirty_codec` for an app that names none."""
    for value in ((1, 2), {1: {"a": (None,)}}, {3}, 2**90, "é" * 70_000, b"small", b"x" * 300_000):
        assert client.execute(app, "echo", value) == value
    assert client.execute(app, "kind", (1,)) == "tuple"
    assert client.execute(app, "echo", value={4}) == {4}
    assert asyncio.run(awaited(client, app, {5})) == {5}
    assert list(client.stream(app, "each", iter([{1}, (2,)]))) == [({1}, "set"), ((2,), "tuple")]
    assert client.execute(app, "union", sets=iter([{1}, {2}])) == {1, 2}


def test_what_it_cannot_do_is_typed(pool, client):
    """Values that it refuses, at either end, and values that are too large; the channel goes on."""
    for _ in range(3):
        with pytest.raises(DirtySerializationError, match="codec literal cannot read"):
            client.execute(LITERAL, "echo", object())
        with pytest.raises(DirtyPayloadTooLargeError):
            client.execute(LITERAL, "echo", b"x" * (2 << 20))
        with pytest.raises(DirtyPayloadTooLargeError):
            client.execute(LITERAL, "unsendable")
        with pytest.raises(DirtySerializationError, match="codec odd cannot read a message: out of order"):
            client.execute(ODD, "echo", 1)
        assert client.execute(LITERAL, "echo", (1,)) == (1,)
    pool.idle()


def test_a_call_by_another_codec_than_the_apps(pool, client, monkeypatch):
    """Refused by the worker before anything is decoded, and its lease comes back."""
    planned = _blocking.plan

    def plan(*args):
        return dataclasses.replace(planned(*args), codec=codecs.PICKLE)

    for _ in range(3):
        with monkeypatch.context() as patched:
            patched.setattr(_blocking, "plan", plan)
            with pytest.raises(DirtySerializationError, match="does not speak the codec 'pickle'"):
                client.execute(LITERAL, "echo", 1)
        assert client.execute(LITERAL, "echo", (1,)) == (1,)
    assert pool.status()["leases"] <= 4


def test_arrays_by_pickle(pool, client):
    """Large arrays lie beside a pickle as they lie beside the default codec's bodies."""
    array = numpy.arange(50_000, dtype="i8").reshape(100, 500)
    for _ in range(3):
        got = client.execute("pool_apps:Pickled", "echo", {"array": array, "set": {1}})
        assert (got["array"] == array).all()
        assert got["set"] == {1}


def test_inline_speaks_them_too(site):
    """By the same names."""
    with inline(LITERAL, ODD):
        assert get_dirty_client().execute(LITERAL, "echo", {(1, 2)}) == {(1, 2)}
        assert list(get_dirty_client().stream(LITERAL, "each", iter([{1}]))) == [({1}, "set")]
        with pytest.raises(DirtySerializationError, match="out of order"):
            get_dirty_client().execute(ODD, "echo", 1)


def test_a_codec_that_is_not_there(tmp_path):
    """One line that names it and where one would come from, and no worker is started."""
    (tmp_path / "lost_apps.py").write_text(
        "from hostler_dirty import DirtyApp\nclass Lost(DirtyApp):\n    codec = 'arrow'\n"
    )
    lost = Pool(["lost_apps:Lost"], extra_path=[tmp_path], wait=False)
    try:
        assert not lost.ready()
        assert "lost_apps:Lost: no dirty codec is named 'arrow'" in lost.logged()
        assert "entry-point group hostler.dirty_codecs" in lost.logged()
        assert "dirty worker" not in lost.logged()
    finally:
        lost.close()


def test_the_default_codec_makes_data_only(site):
    """What may run code while it decodes is for apps that ask for it; what is not there is told before any fork."""
    for name, said in (
        ("pickle", "cannot be the default"),
        ("acme-codecs#odd", "cannot be the default"),
        ("arrow", "no dirty codec"),
    ):
        with pytest.raises(ConfigError, match=said):
            validate(DirtySettings(apps=(ECHO,), workers=1, codec=name))
    validate(DirtySettings(apps=(ECHO,), workers=1, codec="acme-literal"))
    assert codecs.described("msgpack") == {"codec": "msgpack", "data_only": True}
    assert codecs.described("pickle") == {"codec": "pickle", "data_only": False}
    with pytest.raises(DirtyConfigError):
        codecs.find("acme_codecs:nothing")
