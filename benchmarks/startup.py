"""What finding plugins costs a start, with many distributions installed.

    python benchmarks/startup.py [DISTRIBUTIONS] [ROUNDS]

Makes so many distributions (by default 100, every tenth with an entry point of ours) in a temporary directory
and measures: the scan alone, `--version`, `--help`, and `config` with the sync worker. The figures of a run
stand in `benchmarks/startup.md`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SCAN = """
import time, sys
start = time.perf_counter()
from hostler._plugins import Registry, search_path
imported = time.perf_counter()
count = len(Registry.installed(search_path()).entries())
print(imported - start, time.perf_counter() - imported, count)
"""


def fill(site: Path, count: int) -> None:
    """Distributions as an installer leaves them; the plugins' modules are as light as ours."""
    for number in range(count):
        info = site / f"made_up_{number}-1.0.dist-info"
        info.mkdir()
        lines = "".join(f"Classifier: Topic :: Number {line}\n" for line in range(40))
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: made-up-{number}\nVersion: 1.0\n{lines}\n"
        )
        (info / "RECORD").write_text("".join(f"made_up_{number}/file_{n}.py,,\n" for n in range(50)))
        points = "[console_scripts]\n" + f"made-up-{number} = made_up_{number}:main\n"
        if number % 10 == 0:
            points += f"[hostler.workers]\nmade_up_{number} = made_up_{number}:worker\n"
            (site / f"made_up_{number}.py").write_text(
                "from hostler.plugin import WorkerType\n"
                f"worker = WorkerType('made_up_{number}', 'nowhere:serve')\n"
            )
        (info / "entry_points.txt").write_text(points)


def measured(rounds: int, run: Callable[[], None]) -> str:
    """Median and least milliseconds of so many runs."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    return f"median {statistics.median(times):6.1f} ms   least {min(times):6.1f} ms"


def main() -> int:
    """Print one line per measurement."""
    given = [int(one) for one in sys.argv[1:3]]
    count, rounds = (*given, *(100, 15)[len(given) :])
    with tempfile.TemporaryDirectory() as directory:
        site = Path(directory)
        fill(site, count)
        environment = {**os.environ, "PYTHONPATH": directory}

        def command(*arguments: str) -> Callable[[], None]:
            def run() -> None:
                subprocess.run(arguments, cwd="/", env=environment, check=True, capture_output=True)

            return run

        python = sys.executable
        print(f"{count} distributions beside the installed ones, {rounds} rounds")
        scans = []
        for _ in range(rounds):
            done = subprocess.run(
                [python, "-c", SCAN], cwd="/", env=environment, check=True, capture_output=True, text=True
            )
            scans.append([float(one) for one in done.stdout.split()])
        for column, what in ((0, "import of the registry"), (1, "scan")):
            times = [row[column] * 1000 for row in scans]
            print(f"{what:<24} median {statistics.median(times):6.1f} ms   least {min(times):6.1f} ms")
        print(f"{'entry points of ours':<24} {int(scans[0][2])}")
        print(f"{'python -c pass':<24} {measured(rounds, command(python, '-c', 'pass'))}")
        for arguments in (("--version",), ("--help",), ("config",)):
            run = command(python, "-m", "hostler", *arguments)
            print(f"{'hostler ' + ' '.join(arguments):<24} {measured(rounds, run)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
