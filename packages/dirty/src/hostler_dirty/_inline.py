"""The inline executor: apps in the caller's own process, for tests.

Values take the real way through the codec, actions are found and called as in a worker, deadlines are
judged, and faults can be ordered. There is no process, so nothing is interrupted: an action that takes too
long runs to its end, and its caller then gets the timeout.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from hostler_dirty import _app, _codec, _hosting
from hostler_dirty._app import path_of
from hostler_dirty._calling import Options, Plan, plan
from hostler_dirty._hosting import Hosted, Loop
from hostler_dirty._place import HERE
from hostler_dirty._stash_store import Store
from hostler_dirty.codecs import Codec
from hostler_dirty.errors import (
    DirtyAppNotFoundError,
    DirtyError,
    DirtyPayloadTooLargeError,
    DirtyUsageError,
    describe,
)


class InlinePool:
    """Apps that live in this process. A context manager: `init` at its begin, `close` at its end."""

    def __init__(
        self, apps: Sequence[str | type], *, timeout: float = 30.0, max_payload: int = 256 << 20
    ) -> None:
        self._timeout, self._max_payload = timeout, max_payload
        self._loop = Loop()
        self._store = Store(64 << 20)
        self.apps: dict[str, Hosted] = {}
        self._faults: deque[tuple[str, DirtyError]] = deque()
        self.calls: list[tuple[str, str]] = []
        """(app, action) of every call, in order."""
        for app in apps:
            cls = app if isinstance(app, type) else _hosting.load_class(app)
            path = path_of(cls) if isinstance(app, type) else app
            self.apps[path] = Hosted(path, cls)
        self._before: tuple[Any, float, int] = (None, 0.0, 0)

    def __enter__(self) -> InlinePool:
        self._before = HERE.executor, HERE.timeout, HERE.max_payload
        for hosted in self.apps.values():
            hosted.open(self._loop)
            for table in getattr(hosted.cls, "stashes", ()):
                self._store.ensure(time.monotonic(), table)
        HERE.executor, HERE.timeout, HERE.max_payload = self, self._timeout, self._max_payload
        return self

    def __exit__(self, *exc: object) -> None:
        HERE.executor, HERE.timeout, HERE.max_payload = self._before
        for hosted in reversed(list(self.apps.values())):
            hosted.close(self._loop)
        self._loop.close()

    def fail_next(self, error: DirtyError, app: str = "") -> None:
        """The next call (of the app, if one is named) raises this instead of running."""
        self._faults.append((app, error))

    # -- what clients use -------------------------------------------------------------------------------

    def execute(self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options) -> Any:
        the_plan, result = self._call(app, action, args, kwargs, options)
        if _hosting.is_stream(result):
            stream = self._chunks(the_plan, result)
            if options.collect:
                return list(stream)
            stream.close()
            raise DirtyUsageError(
                f"{app}.{action} answers with a stream: use stream(), or options(collect=True)"
            )
        value = self._through(result, the_plan.codec)
        if the_plan.deadline and time.monotonic_ns() > the_plan.deadline:
            raise the_plan.expired("run")
        return value

    async def execute_async(
        self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options
    ) -> Any:
        return await asyncio.to_thread(self.execute, app, action, args, kwargs, options)

    def stream(
        self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options
    ) -> InlineStream:
        return InlineStream(lambda: self._open(app, action, args, kwargs, options))

    def stream_async(
        self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options
    ) -> InlineStream:
        return self.stream(app, action, args, kwargs, options)

    def stash(self, *operation: Any) -> dict[str, Any]:
        try:
            return {"value": self._store.run(operation[0], time.monotonic(), *operation[1:])}
        except DirtyError as error:
            return {"error": describe(error)}

    # -- inside -----------------------------------------------------------------------------------------

    def _call(
        self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options
    ) -> tuple[Plan, Any]:
        hosted = self.apps.get(app)
        if hosted is None:
            raise DirtyAppNotFoundError(app)
        self.calls.append((app, action))
        for index, (wanted, error) in enumerate(self._faults):
            if wanted in ("", app):
                del self._faults[index]
                raise error
        the_plan = plan(app, action, args, kwargs, options, {**_app.describe(hosted.cls), **hosted.spoken()}, 0)
        function, marks = hosted.action(action)
        sent = self._through((the_plan.args, the_plan.kwargs), the_plan.codec, feed=the_plan.feed)
        call = _app.Call(
            the_plan.id, app, action, the_plan.deadline, priority=the_plan.priority, trace=options.trace or {}
        )
        positional, named = sent
        if marks.batch:
            positional = [[value] for value in positional]
            named = {name: [value] for name, value in named.items()}
        result = self._run(call, hosted, function, positional, named)
        if marks.batch:
            (result,) = result
            if isinstance(result, BaseException):
                raise _hosting.app_error(result, app, action)
        return the_plan, result

    def _run(
        self, call: _app.Call, hosted: Hosted, function: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        before = _app.running_call()
        _app.set_running(call)
        try:
            result = function(*args, **kwargs)
            if inspect.iscoroutine(result):  # asyncio.iscoroutine takes generators too before Python 3.12
                result = self._loop.run(result, call)
            return result
        except DirtyAppNotFoundError:
            raise
        except Exception as error:
            if isinstance(error, hosted.reraise):
                raise
            raise _hosting.app_error(error, call.app, call.action) from error
        finally:
            _app.set_running(before)

    def _through(self, value: Any, codec: Codec | None, feed: Any = None) -> Any:
        """The value as the other side would get it."""
        if codec is not None:
            body, buffers = codec.dump(value)
            size = len(body) + sum(map(len, buffers))
            if size > self._max_payload:
                raise DirtyPayloadTooLargeError("The payload is too large", size, self._max_payload)
            return codec.load(body, buffers)
        body, buffers = _codec.encode_lifted((value,))
        size = len(body) + sum(map(len, buffers))
        if size > self._max_payload:
            raise DirtyPayloadTooLargeError("The payload is too large", size, self._max_payload)
        return _codec.decode(body, buffers, feed=feed)[0]

    def _open(
        self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options
    ) -> Iterator[Any]:
        the_plan, result = self._call(app, action, args, kwargs, options)
        if not _hosting.is_stream(result):
            return iter([self._through(result, the_plan.codec)])
        chunks: Iterator[Any] = self._chunks(the_plan, result)
        return chunks

    def _chunks(self, the_plan: Plan, result: Any) -> Any:
        def chunks() -> Iterator[Any]:
            stream = _hosting.as_iterator(result, self._loop, None)
            try:
                for chunk in stream:
                    if the_plan.deadline and time.monotonic_ns() > the_plan.deadline:
                        raise the_plan.expired("stream")
                    yield self._through(chunk, the_plan.codec)
            except (DirtyError, GeneratorExit):
                raise
            except Exception as error:
                raise _hosting.app_error(error, the_plan.app, the_plan.action) from error
            finally:
                stream.close()  # type: ignore[attr-defined]

        return chunks()


class InlineStream:
    """Chunks for `for` and for `async for`."""

    def __init__(self, opened: Callable[[], Iterator[Any]]) -> None:
        self._opened = opened
        self._chunks: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._chunks is None:
            self._chunks = self._opened()
        return next(self._chunks)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        done = object()
        value = await asyncio.to_thread(lambda: next(self, done))
        if value is done:
            raise StopAsyncIteration
        return value

    def close(self) -> None:
        """Read no more: the generator is closed."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    async def aclose(self) -> None:
        self.close()

    def __enter__(self) -> InlineStream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> InlineStream:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()
