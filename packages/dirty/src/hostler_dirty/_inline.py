"""The inline executor: apps in the caller's own process, for tests and development.

Values take the real way through the codec, actions are found and called as in a worker, deadlines are
judged, and faults can be ordered. A call runs in the thread that makes it, so it is not interrupted there: an
action that takes too long runs to its end, and its caller then gets the timeout. An awaited call runs in a
thread of its own, and is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from hostler.plugin import Bound

from hostler_dirty import _host, _parcel
from hostler_dirty._app import DirtyDeadlineExceeded
from hostler_dirty._calling import Options, Plan
from hostler_dirty._chunks import Chunks
from hostler_dirty._host import Host
from hostler_dirty._parcel import Packed, Parcel
from hostler_dirty._place import HERE
from hostler_dirty._settings import DirtySettings
from hostler_dirty._stash_local import LocalStash
from hostler_dirty.errors import DirtyError


class InlinePool:
    """Apps that live in this process. A context manager: `init` at its begin, `close` at its end."""

    def __init__(
        self,
        apps: Sequence[str | type],
        *,
        timeout: float = 30.0,
        max_payload: int = 256 << 20,
        codec: str = "msgpack",
        stash_limit: int = 64 << 20,
    ) -> None:
        self._timeout, self._max_payload = timeout, max_payload
        self._host = Host(apps, codec=codec, max_payload=max_payload)
        self._stash = LocalStash(stash_limit, self._host.stashes)
        self._faults: deque[tuple[str, DirtyError]] = deque()
        self.calls: list[tuple[str, str]] = []
        """(app, action) of every call, in order."""
        self._before: tuple[Any, float, int] = (None, 0.0, 0)

    def open(self) -> None:
        """Load every app."""
        self._host.open()

    def close(self) -> None:
        """Let every app go."""
        self._host.close()

    def __enter__(self) -> InlinePool:
        self._before = HERE.executor, HERE.timeout, HERE.max_payload
        self.open()
        HERE.executor, HERE.timeout, HERE.max_payload = self, self._timeout, self._max_payload
        return self

    def __exit__(self, *exc: object) -> None:
        HERE.executor, HERE.timeout, HERE.max_payload = self._before
        self.close()

    def fail_next(self, error: DirtyError, app: str = "") -> None:
        """The next call (of the app, if one is named) raises this instead of running."""
        self._faults.append((app, error))

    # -- what clients use -------------------------------------------------------------------------------

    def execute(self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options) -> Any:
        the_plan = self._planned(app, action, args, kwargs, options)
        return self._answered(the_plan, self._host.run(Parcel.of(the_plan), _host.plain(the_plan.feed)))

    async def execute_async(
        self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options
    ) -> Any:
        the_plan = self._planned(app, action, args, kwargs, options)
        parcel, feed = Parcel.of(the_plan), _host.plain(the_plan.feed, asyncio.get_running_loop())
        running = asyncio.ensure_future(asyncio.to_thread(self._host.run, parcel, feed))
        try:
            packed = await asyncio.wait_for(asyncio.shield(running), the_plan.left())
        except asyncio.TimeoutError:
            self._abandon(running, the_plan, why=DirtyDeadlineExceeded)
            raise the_plan.expired("run") from None
        except asyncio.CancelledError:
            self._abandon(running, the_plan)
            raise
        return self._answered(the_plan, packed)

    def stream(self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options) -> Chunks:
        planned: list[Plan] = []

        def opened(loop: asyncio.AbstractEventLoop | None) -> Iterator[Any]:
            the_plan = self._planned(app, action, args, kwargs, options)
            planned.append(the_plan)
            return self._chunks(the_plan, _host.plain(the_plan.feed, loop))

        def abort() -> None:
            for the_plan in planned:
                self._host.interrupt(the_plan.id)

        return Chunks(opened, abort)

    stream_async = stream

    def stash(self, *operation: Any) -> dict[str, Any]:
        return self._stash.run(*operation)

    # -- inside -----------------------------------------------------------------------------------------

    def _planned(self, app: str, action: str, args: Any, kwargs: dict[str, Any], options: Options) -> Plan:
        the_plan = _host.plan_call(self._host.infos, app, action, args, kwargs, options)
        self.calls.append((app, action))
        for index, (wanted, error) in enumerate(self._faults):
            if wanted in ("", app):
                del self._faults[index]
                raise error
        return the_plan

    def _answered(self, the_plan: Plan, packed: Packed) -> Any:
        if _host.late(the_plan):
            raise the_plan.expired("run")
        return _parcel.unpack(packed, the_plan.codec)

    def _abandon(self, running: asyncio.Future[Packed], the_plan: Plan, **why: Any) -> None:
        running.add_done_callback(_consume)
        self._host.interrupt(the_plan.id, **why)

    def _chunks(self, the_plan: Plan, feed: Any) -> Iterator[Any]:
        chunks = self._host.stream(Parcel.of(the_plan), feed)
        try:
            for packed in chunks:
                if _host.late(the_plan):
                    raise the_plan.expired("stream")
                yield _parcel.unpack(packed, the_plan.codec)
        finally:
            chunks.close()


def _consume(running: asyncio.Future[Packed]) -> None:
    """Nobody waits for it any more; it is only not to be logged as forgotten."""
    if not running.cancelled():
        running.exception()


def connect(settings: DirtySettings, bound: Bound) -> InlinePool:
    """In an HTTP worker under `dirty_executor = "inline"`."""
    pool = InlinePool(
        settings.apps, timeout=settings.timeout, max_payload=settings.max_payload, codec=settings.codec,
        stash_limit=settings.stash_limit,
    )  # fmt: skip
    pool.open()
    return pool
