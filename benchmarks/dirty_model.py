"""A real model in the dirty pool under load, its workers killed again and again: what HTTP feels of it.

    python benchmarks/dirty_model.py [--seconds 60] [--pause 5] [--quiet 20] [--times 2000] [--write]

It is the soak test of `tests/dirty` with its figures told: in turn a server with gthread workers and Flask and one with
asgi workers and FastAPI, four dirty workers, two of which hold the model (py3langid). Eight clients call it without a
pause, one client measures a route that calls nothing, and every few seconds a worker that holds the model is killed.
It runs in an environment of the tests (`nox -s soak` makes one). `--write` keeps the table in `results/dirty-model.md`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import environment

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "dirty"))

import pool_siege
from pool_clients import CALLERS, PAUSE

NAMES = {"gthread": "gthread, Flask", "asgi": "asgi, FastAPI"}
MOST = 2.0


def measure(worker: str, options: argparse.Namespace) -> Any:
    """One server, from its start to its end."""
    with tempfile.TemporaryDirectory() as directory:
        server = pool_siege.serve(worker, Path(directory), options.times)
        try:
            return pool_siege.besiege(
                server, quiet=options.quiet, seconds=options.seconds, pause=options.pause
            )
        finally:
            server.stop()


def failures(found: Any) -> str:
    """How many calls failed, by type; the only ones that may are those on a worker that was killed."""
    counts: dict[str, int] = {}
    for failure in found.failed:
        known = (failure["details"].get("slot"), failure["details"].get("generation")) in found.killed
        name = failure["error"] if known else f"{failure['error']}, **not of a killed worker**"
        counts[name] = counts.get(name, 0) + 1
    told = [f"{count} {name}" for name, count in sorted(counts.items())]
    return "; ".join([*told, *([f"**{len(found.odd)} others**"] if found.odd else [])]) or "none"


def megabytes(octets: list[int]) -> str:
    return ", ".join(f"{each / (1 << 20):.0f}" for each in sorted(octets)) + " MiB"


def ratio(found: Any) -> str:
    """The plain route's p99 under load by that without it."""
    value = pool_siege.percentile(found.loaded, 99) / pool_siege.percentile(found.quiet, 99)
    return f"{value:.2f} (≤ {MOST:g}, {'reached' if value <= MOST else '**missed**'})"


def both(times: list[float]) -> str:
    return " / ".join(f"{pool_siege.percentile(times, percent):.2f}" for percent in (50, 99)) + " ms"


ROWS = (
    ("plain route alone, p50 / p99", lambda found: both(found.quiet)),
    ("plain route under this load, p50 / p99", lambda found: both(found.loaded)),
    ("p99 under load by p99 alone", ratio),
    ("requests of the plain route, alone / under load", lambda f: f"{len(f.quiet):,} / {len(f.loaded):,}"),
    ("calls of the model answered, all rightly", lambda found: f"{found.right:,}"),
    ("workers killed", lambda found: str(len(found.killed))),
    ("calls failed", failures),
    ("memory of the workers that hold the model", lambda found: megabytes(found.holding)),
    ("memory of the dirty workers that do not", lambda found: megabytes(found.others)),
    ("slots of the model before and after", lambda found: " and ".join(map(str, found.slots))),
)


def page(found: dict[str, Any], options: argparse.Namespace) -> str:
    """Markdown."""
    http, others = pool_siege.halves()
    lines = ["# dirty-model: a real model under load while its workers are killed", ""]
    lines += [f"| | {' | '.join(NAMES[worker] for worker in found)} |", f"| --- |{' --: |' * len(found)}"]
    lines += [f"| {name} | {' | '.join(row(each) for each in found.values())} |" for name, row in ROWS]
    cpus = f"CPU {http}; the dirty workers (by `dirty_post_fork`) and the model's clients on CPU {others}"
    lines += [
        "",
        "## Conditions",
        "",
        *(f"- {line}" for line in environment.conditions(Path(sys.executable))),
        f"- Server, two HTTP workers, dirty arbiter and the plain route's client on {cpus}.",
        f"- {CALLERS} clients of the model, each with its next call at once; a call reads some {70 * options.times:,} "
        "letters, and the dirty workers are never idle.",
        f"- One client of the plain route, on one connection, a request {PAUSE * 1000:g} ms after each answer.",
        f"- {options.quiet / 2:g} s alone, {options.seconds:g} s under load with a kill every {options.pause:g} s, and "
        f"{options.quiet / 2:g} s alone again.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=5.0)
    parser.add_argument("--quiet", type=float, default=20.0)
    parser.add_argument(
        "--times", type=int, default=2000, help="how often the model reads a text in one call"
    )
    parser.add_argument("--write", action="store_true", help="keep the table in results/dirty-model.md")
    options = parser.parse_args()
    text = page({worker: measure(worker, options) for worker in NAMES}, options)
    print(text)
    if options.write:
        (Path(__file__).parent / "results" / "dirty-model.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
