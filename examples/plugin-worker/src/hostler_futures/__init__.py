"""The worker `futures`. This module stays light: it is imported for `--help`; the code is in `_worker`."""

from __future__ import annotations

from dataclasses import dataclass

from hostler.plugin import WorkerType
from hostler.settings import integer, setting


@dataclass(frozen=True, slots=True)
class Settings:
    """`futures_…` in files, `--futures-…` on the command line."""

    threads: int = setting(
        4,
        kind=integer(minimum=1),
        help="threads of the executor that runs requests",
        section="futures worker",
    )


worker = WorkerType(
    name="futures",
    serve="hostler_futures._worker:serve",
    summary="requests on an executor of concurrent.futures",
    settings=Settings,
    multiplexes=True,
    threaded=True,
)

__all__ = ["Settings", "worker"]
