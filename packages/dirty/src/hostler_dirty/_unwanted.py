"""Calls whose caller has gone and whose app says `kill_on_cancel`: the worker marks them in the shared page.

A mark is two words per thread: the start of the call that it means, which no later call shares, and since when
nobody wants it. The arbiter then treats the call as one whose deadline has passed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hostler_dirty._runtime_words import SLOTS, unwanted

if TYPE_CHECKING:
    from hostler_dirty._app import Call
    from hostler_dirty._runtime import Runtime


def mark(runtime: Runtime, call: Call) -> None:
    """The caller of a running call has left."""
    hosted = runtime.apps.get(call.app)
    if hosted is None or getattr(hosted.cls, "kill_on_cancel", False) is not True:
        return
    for index, running in enumerate(tuple(runtime.current)):
        if running is not None and running[0] is call:
            start = int(runtime.words[SLOTS + 3 * index + 2])
            if runtime.current[index] is running:  # so that start is its own
                at = unwanted(runtime.threads, index)
                runtime.words[at + 1] = time.monotonic_ns()
                runtime.words[at] = start
