"""The tasks: two apps of the dirty pool. How far a job is stands in the stash, where every process can read it."""

from __future__ import annotations

import time
from typing import Any

from hostler_dirty import DirtyApp, stash


class Images(DirtyApp):
    """Slow work; two workers do it."""

    workers = 2
    stashes = ["jobs"]  # noqa: RUF012

    def resize(self, job: str, files: list[str], width: int) -> dict[str, Any]:
        """One file after the other."""
        for done, _ in enumerate(files, 1):
            time.sleep(0.05)  # here an image would be read, made smaller and written
            stash.put("jobs", job, {"state": "running", "done": done, "of": len(files)})
        return {"files": len(files), "width": width}


class Reports(DirtyApp):
    """Work that must not run twice at a time: the configuration gives it one worker (`tasks:Reports:1`)."""

    def init(self) -> None:
        self.made = 0

    def monthly(self, job: str, amounts: list[float]) -> dict[str, Any]:
        """Sum and mean."""
        if not amounts:
            raise ValueError("there is nothing to report")
        stash.put("jobs", job, {"state": "running"})
        self.made += 1
        return {"sum": sum(amounts), "mean": sum(amounts) / len(amounts)}
