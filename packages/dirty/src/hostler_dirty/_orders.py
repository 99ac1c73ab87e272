"""What a worker is told at first: its place in the pool, and the settings that are its own business."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hostler_dirty import _functions
from hostler_dirty._member import Member
from hostler_dirty._settings import DirtySettings


def boot(settings: DirtySettings, member: Member, log_level: int) -> dict[str, Any]:
    """The body of the BOOT frame, but for what `dirty_post_fork` may change."""
    return {
        "slot": member.slot,
        "generation": member.generation,
        "apps": list(member.apps),
        "threads": settings.threads,
        "timeout": settings.timeout,
        "graceful_timeout": settings.graceful_timeout,
        "codec": settings.codec,
        "max_payload": settings.max_payload,
        "stall": settings.stream_stall_timeout,
        "health_interval": settings.health_interval,
        "slow_call": settings.slow_call,
        "rlimit_as": settings.rlimit_as,
        "rlimit_nofile": settings.rlimit_nofile,
        "worker_init": _functions.name(settings.worker_init),
        "path": [entry or str(Path.cwd()) for entry in sys.path],
        "directory": str(Path.cwd()),
        "log_level": log_level,
        "title": "hostler",
    }
