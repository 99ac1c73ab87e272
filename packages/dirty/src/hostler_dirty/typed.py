"""The typed client: an app's class as an object whose methods call the pool, `dirty(Models).predict(x)`.

What comes back is made into what the annotations of the class say, for msgpack knows tuples only as lists, classes
only as maps. It knows clients, and neither connections nor workers.
"""

from __future__ import annotations

import collections.abc
import inspect
import typing
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from hostler_dirty._app import marks, path_of
from hostler_dirty.client import DirtyClient, get_dirty_client

A = TypeVar("A")
Convert = Callable[[Any], Any]

_SERIES = frozenset(
    (
        *(collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator),
        *(collections.abc.AsyncIterator, collections.abc.AsyncIterable, collections.abc.AsyncGenerator),
    )
)


def dirty(cls: type[A], client: DirtyClient | None = None) -> DirtyProxy[A]:
    """A typed client of one app; results, and the chunks of streams, are what the methods' annotations say.

    An action that runs in batches returns a list there and one item of it here. `client`: through which it calls,
    such as the one of a request.
    """
    return DirtyProxy(cls, client or get_dirty_client())


class DirtyProxy(Generic[A]):
    """An app as an object: `ml.predict(x)`, `await ml.aio.predict(x)`, `ml.generate.stream(p)`."""

    def __init__(self, cls: type[A], client: DirtyClient, *, aio: bool = False) -> None:
        self._cls, self._client, self._aio = cls, client, aio

    @property
    def aio(self) -> DirtyProxy[A]:
        """The same, with actions to be awaited."""
        return DirtyProxy(self._cls, self._client, aio=True)

    def options(self, **changes: Any) -> DirtyProxy[A]:
        """The same, with other options."""
        return DirtyProxy(self._cls, self._client.options(**changes), aio=self._aio)

    def __getattr__(self, name: str) -> BoundAction:
        getattr(self._cls, name)  # AttributeError for what the class has not
        return BoundAction(
            self._client, path_of(self._cls), name, *converters(self._cls, name), aio=self._aio
        )


class BoundAction:
    """An action of an app: call it, or `.stream(…)` it; `.aio(…)` and `.stream_async(…)` for asyncio."""

    def __init__(
        self, client: DirtyClient, path: str, name: str, result: Convert, chunk: Convert, *, aio: bool
    ) -> None:
        self._client, self._path, self._name, self._aio = client, path, name, aio
        self._result, self._chunk = result, chunk

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._aio:
            return self.aio(*args, **kwargs)
        return self._result(self._client.execute(self._path, self._name, *args, **kwargs))

    async def aio(self, *args: Any, **kwargs: Any) -> Any:
        """Call and await."""
        return self._result(await self._client.execute_async(self._path, self._name, *args, **kwargs))

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        """The chunks, one by one."""
        if self._aio:
            return self.stream_async(*args, **kwargs)
        return Converted(self._client.stream(self._path, self._name, *args, **kwargs), self._chunk)

    def stream_async(self, *args: Any, **kwargs: Any) -> Any:
        """The chunks, for `async for`."""
        return Converted(self._client.stream_async(self._path, self._name, *args, **kwargs), self._chunk)


class Converted:
    """A stream of either kind, its chunks converted. Leaving it early closes the action's generator."""

    def __init__(self, stream: Any, convert: Convert) -> None:
        self._stream, self._convert = stream, convert

    def __iter__(self) -> Converted:
        return self

    def __next__(self) -> Any:
        return self._convert(next(self._stream))

    def __aiter__(self) -> Converted:
        return self

    async def __anext__(self) -> Any:
        return self._convert(await self._stream.__anext__())

    def close(self) -> None:
        """Read no more; the action is interrupted if it still runs."""
        self._stream.close()

    async def aclose(self) -> None:
        """As `close`."""
        await self._stream.aclose()

    def __enter__(self) -> Converted:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Converted:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


def converters(cls: type, name: str) -> tuple[Convert, Convert]:
    """What is done to the result of an action, and to each chunk of its stream."""
    method = getattr(cls, name)
    try:
        said = typing.get_type_hints(method).get("return", Any)
    except (NameError, TypeError):  # a name that only a type checker can see
        return _same, _same
    if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
        convert = _to(_item(said, _SERIES))
        return (lambda chunks: [convert(chunk) for chunk in chunks]), convert  # a list, where it is asked for
    convert = _to(_item(said, {list}) if marks(cls, name).batch else said)
    return convert, convert


def _item(said: Any, series: collections.abc.Set[Any]) -> Any:
    """What one item of the annotated series is."""
    arguments = typing.get_args(said)
    return arguments[0] if typing.get_origin(said) in series and arguments else Any


def _to(wanted: Any) -> Convert:
    if wanted is Any or wanted is None or wanted is type(None):
        return _same

    def convert(value: Any) -> Any:
        try:
            return msgspec.convert(value, wanted)
        except (msgspec.ValidationError, TypeError):
            return value  # the app's word counts, not its annotation's

    return convert


def _same(value: Any) -> Any:
    return value
