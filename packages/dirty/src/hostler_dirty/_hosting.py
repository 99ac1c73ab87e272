"""Apps as a worker holds them: imported, constructed, and their actions called. No socket is known here.

Used by workers and by the inline executor, so both call an app in the same way.
"""

from __future__ import annotations

import importlib
import inspect
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from hostler_dirty import _app, codecs
from hostler_dirty._app import Call, DirtyCancelled, Marks
from hostler_dirty.errors import DirtyAppError, DirtyAppNotFoundError, DirtyConfigError, DirtyError


def load_class(path: str) -> type:
    """The class of `module:Class`. Raises what the import raises, or DirtyConfigError."""
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise DirtyConfigError(f"dirty_apps: {module} has no class {name}")
    return found


class Loop:
    """An asyncio loop in a thread of its own, made when the first `async` action needs it."""

    def __init__(self) -> None:
        self._loop: Any = None
        self._lock = threading.Lock()

    def run(self, awaitable: Coroutine[Any, Any, Any], call: Call | None = None) -> Any:
        """The result, waited for in this thread. An interrupt of the call cancels the task."""
        import asyncio  # noqa: PLC0415  (a worker without async apps starts sooner without it)

        loop = self._get()

        async def main() -> Any:
            task = asyncio.current_task()
            assert task is not None
            if call is not None:
                _app.set_running(call)
                call.cancel_task = lambda: loop.call_soon_threadsafe(task.cancel)
            try:
                if call is not None and call.interrupt is not None and not call.delivered:
                    task.cancel()
                return await awaitable
            except asyncio.CancelledError:
                if call is not None and call.interrupt is not None:
                    call.delivered = True
                    raise call.interrupt from None
                raise DirtyCancelled from None
            finally:
                if call is not None:
                    call.cancel_task = None

        done = asyncio.run_coroutine_threadsafe(main(), loop)
        try:
            return done.result()
        except DirtyCancelled:
            done.cancel()
            raise

    def _get(self) -> Any:
        import asyncio  # noqa: PLC0415

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="dirty-loop", daemon=True)
                self._thread.start()
            return self._loop

    def close(self) -> None:
        """End the loop and its thread; tasks that still run are left behind."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5.0)
            self._loop.close()
            self._loop = None


class Hosted:
    """One app in this process."""

    def __init__(self, path: str, cls: type, default_codec: str = codecs.DEFAULT) -> None:
        """`default_codec`: for a class that names none. Raises DirtyConfigError."""
        self.path = path
        self.cls = cls
        self.instance: Any = None
        self._spoken = codec_of(cls) or default_codec
        self.codec = codecs.find_other(self._spoken)
        self.reraise: tuple[type[BaseException], ...] = tuple(getattr(cls, "reraise", ()))
        self._custom = _app.is_custom_dispatch(cls)
        self._actions: dict[str, tuple[Callable[..., Any], Marks]] = {}
        self._closed = False

    def open(self, loop: Loop) -> None:
        """Construct, `init` and `warmup`."""
        self.instance = self.cls()
        for name in ("init", "warmup"):
            method = getattr(self.instance, name, None)
            if method is not None:
                result = method()
                if inspect.iscoroutine(result):
                    loop.run(result)

    def spoken(self) -> dict[str, Any]:
        """What is to be known of its codec."""
        return codecs.described(self._spoken)

    def healthy(self, loop: Loop) -> bool:
        """What `health` says; no such method is health."""
        method = getattr(self.instance, "health", None)
        if method is None:
            return True
        result = method()
        if inspect.iscoroutine(result):
            result = loop.run(result)
        return result is not False

    def close(self, loop: Loop) -> None:
        """`close`, once, if `init` had begun."""
        method = getattr(self.instance, "close", None)
        if self._closed or self.instance is None or method is None:
            return
        self._closed = True
        result = method()
        if inspect.iscoroutine(result):
            loop.run(result)

    def action(self, name: str) -> tuple[Callable[..., Any], Marks]:
        """What to call for an action. Raises DirtyAppNotFoundError."""
        found = self._actions.get(name)
        if found is None:
            try:
                found = self._find(name), _app.marks(self.cls, name)
            except DirtyError:
                raise
            except Exception as error:  # noqa: BLE001  (a property of the app, named as an action)
                raise app_error(error, self.path, name) from None
            self._actions[name] = found
        return found

    def _find(self, name: str) -> Callable[..., Any]:
        if not self._custom:
            return _app.find_action(self.instance, name)
        if not _app.callable_from_outside(self.instance, name):
            raise DirtyAppNotFoundError(self.path, name, f"{self.path} has no action {name!r}")
        instance = self.instance
        return lambda *args, **kwargs: instance(name, *args, **kwargs)


def codec_of(cls: type) -> str | None:
    """The name that the class gives; None: it gives none."""
    name = getattr(cls, "codec", None)
    return name if isinstance(name, str) else None  # an action may have the name of an attribute


def is_stream(value: Any) -> bool:
    """The action answered with chunks."""
    return inspect.isgenerator(value) or inspect.isasyncgen(value)


def as_iterator(stream: Any, loop: Loop, call: Call | None) -> Iterator[Any]:
    """The chunks of a generator or an async generator, read in this thread."""
    return stream if not inspect.isasyncgen(stream) else _AsyncChunks(stream, loop, call)


class _AsyncChunks:
    def __init__(self, stream: AsyncIterator[Any], loop: Loop, call: Call | None) -> None:
        self._stream, self._loop, self._call = stream, loop, call
        self.future: Any = None

    def __iter__(self) -> _AsyncChunks:
        return self

    def __next__(self) -> Any:
        async def step() -> Any:
            return await self._stream.__anext__()

        try:
            return self._loop.run(step(), self._call)
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        closing: Any = self._stream.aclose()  # type: ignore[attr-defined]
        self._loop.run(_awaited(closing))


async def _awaited(value: Any) -> Any:
    return await value


def app_error(error: BaseException, path: str, action: str) -> DirtyAppError:
    """What the caller gets of an exception of the app; never raises, whatever the exception's methods do."""
    if isinstance(error, DirtyAppNotFoundError):
        return error
    cls = type(error)
    try:
        message = str(error)
    except Exception:  # noqa: BLE001  (the text of a stranger's exception)
        message = "(its text cannot be had)"
    try:
        trace = "".join(traceback.format_exception(cls, error, error.__traceback__, limit=-40))
    except Exception:  # noqa: BLE001
        trace = ""
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    if len(message) > 65536:
        message = message[:65536] + "…"
    return DirtyAppError(message or cls.__qualname__, path, action, trace[-65536:], name)
