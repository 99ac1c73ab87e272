"""The application of the HTTP/2 profile: answers as `apps.asgi_crowded` does, and samples the worker that runs it.

Every two milliseconds of CPU time it notes which function runs; at the end it writes `FILE:FUNCTION COUNT` lines to
the file that BENCH_SAMPLES names.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from types import FrameType

from apps import Message, Receive, Send, asgi_crowded

INTERVAL = 0.002
samples: Counter[str] = Counter()


def sample(number: int, frame: FrameType | None) -> None:
    """Note what runs."""
    del number
    if frame is not None:
        samples[f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}"] += 1


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Sample from start-up to shut-down."""
    if scope["type"] != "lifespan":
        await asgi_crowded(scope, receive, send)
        return
    while (await receive())["type"] != "lifespan.shutdown":
        signal.signal(signal.SIGPROF, sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
        await send({"type": "lifespan.startup.complete"})
    signal.setitimer(signal.ITIMER_PROF, 0)
    Path(os.environ["BENCH_SAMPLES"]).write_text(
        "".join(f"{name} {count}\n" for name, count in samples.items())
    )
    await send({"type": "lifespan.shutdown.complete"})
