"""An executor that a stranger could have written: apps in each HTTP worker, their calls on threads of its own.

It imports the public face only. The test installs it as a distribution of its own.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import Any

from hostler_dirty import DirtyUsageError
from hostler_dirty.app import DirtyDeadlineExceeded
from hostler_dirty.executors import Chunks, ExecutorType, Host, LocalStash, Parcel, plain, plan_call, unpack

executor = ExecutorType("threads", connect="acme_threads:connect", control="acme_threads:control")


class Threads:
    """The backend: one per HTTP worker."""

    def __init__(self, settings):
        self._host = Host(settings.apps, codec=settings.codec, max_payload=settings.max_payload)
        self._host.open()
        self._threads = ThreadPoolExecutor(settings.workers * settings.threads + 8, "acme")
        self._stash = LocalStash(settings.stash_limit, self._host.stashes)

    def execute(self, app, action, args, kwargs, options):
        plan = plan_call(self._host.infos, app, action, args, kwargs, options)
        future = self._threads.submit(self._host.run, Parcel.of(plan), plain(plan.feed))
        return unpack(self._wait(plan, future, "run"), plan.codec)

    async def execute_async(self, app, action, args, kwargs, options):
        plan = plan_call(self._host.infos, app, action, args, kwargs, options)
        feed = plain(plan.feed, asyncio.get_running_loop())
        future = self._threads.submit(self._host.run, Parcel.of(plan), feed)
        try:
            packed = await asyncio.wait_for(asyncio.wrap_future(future), plan.left())
        except asyncio.TimeoutError:
            self._host.interrupt(plan.id, DirtyDeadlineExceeded)
            raise plan.expired("run") from None
        except asyncio.CancelledError:
            self._host.interrupt(plan.id)
            raise
        return unpack(packed, plan.codec)

    def stream(self, app, action, args, kwargs, options):
        plans = []

        def opened(loop):
            plan = plan_call(self._host.infos, app, action, args, kwargs, options)
            plans.append(plan)
            return self._chunks(plan, plain(plan.feed, loop))

        return Chunks(opened, lambda: [self._host.interrupt(plan.id) for plan in plans])

    stream_async = stream

    def stash(self, *operation):
        return self._stash.run(*operation)

    def close(self):
        self._threads.shutdown(cancel_futures=True)
        self._host.close()

    def _chunks(self, plan, feed):
        source = self._host.stream(Parcel.of(plan), feed)
        done = object()
        try:
            while True:
                packed = self._wait(plan, self._threads.submit(next, source, done), "stream")
                if packed is done:
                    return
                yield unpack(packed, plan.codec)
        finally:
            self._threads.submit(source.close).result()

    def _wait(self, plan, future: Future[Any], stage):
        try:
            return future.result(plan.left())
        except Late:
            self._host.interrupt(plan.id, DirtyDeadlineExceeded)
            raise plan.expired(stage) from None


def connect(settings, bound):
    return Threads(settings)


def control(settings, bound, words):
    if list(words) not in ([], ["status"]):
        raise DirtyUsageError(f"{' '.join(words)!r} is not done here")
    return {"ok": True, "apps": list(settings.apps)}
