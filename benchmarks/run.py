"""CPU time, rate and memory of our workers beside other servers on the same machine in the same run.

    python benchmarks/run.py --prepare DIR           an environment with every server
    python benchmarks/run.py --env DIR               every scenario
    python benchmarks/run.py --env DIR hello post --rounds 5 --seconds 3 --write

One worker; the server's processes are pinned to CPU 0, wrk with 64 connections to CPU 1. A measurement starts a fresh
server; the rounds take the servers in turns. Every process that is started is ended.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from types import FrameType

import environment
from measure import LEAST_SECONDS, Sample, sample
from scenarios import SCENARIOS, Scenario
from servers import SERVERS, Running, ServerFailed
from table import render

RESULTS = Path(__file__).resolve().parent / "results"


def measure(
    scenario: Scenario, python: Path, names: Sequence[str], rounds: int, seconds: float
) -> tuple[dict[str, list[Sample]], list[str]]:
    """Samples of each server, and a note for each that failed and was left out from then on."""
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    for number in range(rounds):
        for name in names:
            if name in failed:
                continue
            print(f"{scenario.name}, round {number + 1} of {rounds}: {name}", file=sys.stderr)
            pinned = not scenario.memory
            try:
                with Running(SERVERS[name], python, scenario.app, scenario.workers, pinned) as running:
                    samples[name].append(sample(scenario, running, seconds))
            except (ServerFailed, OSError, subprocess.SubprocessError) as error:
                failed[name] = f"{name} is left out: {error}"
    kept = {name: found for name, found in samples.items() if name not in failed}
    return kept, list(failed.values())


def choose(
    scenario: Scenario, installed: dict[str, str], wanted: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The scenario's servers that can run (and are wanted, if any are named), and a note for each other."""
    names, notes = [], []
    for name in scenario.servers:
        lacking = [each for each in SERVERS[name].needs if each not in installed]
        if lacking:
            notes.append(f"{name} is left out: {', '.join(lacking)} not installed.")
        elif not wanted or name in wanted:
            names.append(name)
    return names, notes


def describe(scenario: Scenario, names: Sequence[str], installed: dict[str, str], how: str) -> list[str]:
    """The lines of conditions that a scenario adds: versions and the way of measuring."""
    needed = sorted({each for name in names for each in SERVERS[name].needs})
    versions = ", ".join(f"{each} {installed[each]}" for each in needed)
    if scenario.memory:
        return [
            f"{versions}.",
            f"{how}; {scenario.workers} workers, median of the workers' PSS (smaps_rollup).",
        ]
    pinning = "one worker, all processes of the server on CPU 0, wrk on CPU 1, 64 connections"
    figures = "CPU time is user and system time of all processes of the server; errors are of all rounds."
    return [f"{versions}.", f"{how}; {pinning}.", figures]


def run(scenario: Scenario, python: Path, options: argparse.Namespace) -> bool:
    """Measure one scenario, print its page and keep it if wanted; whether every server could be measured."""
    _, installed = environment.versions(python)
    names, notes = choose(scenario, installed, options.server)
    if not names:
        print(f"{scenario.name}: no server to measure", *notes, sep="\n", file=sys.stderr)
        return True
    samples, failures = measure(scenario, python, names, options.rounds, options.seconds)
    how = f"Interleaved rounds: {options.rounds}, {options.seconds:g} s each; median (least-most)"
    lines = [*environment.conditions(python), *describe(scenario, names, installed, how)]
    page = render(scenario, samples, [*notes, *failures], lines)
    print(page)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{scenario.name}.md").write_text(page)
    return not failures


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line; ends with one line when it cannot be used."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenario", nargs="*", help=f"of: {', '.join(SCENARIOS)}; without one: all")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each server (default 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a measurement (default 3)")
    parser.add_argument("--env", type=Path, help="environment to run servers from; default: the running one")
    parser.add_argument("--prepare", type=Path, metavar="DIR", help="make that environment, then end")
    parser.add_argument("--server", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--write", action="store_true", help="keep each table in benchmarks/results/")
    parser.add_argument("--list", action="store_true", help="print scenarios and their servers, then end")
    options = parser.parse_args(argv)
    refuse_unknown(parser, options.scenario, SCENARIOS)
    refuse_unknown(parser, options.server, SERVERS)
    if options.rounds < 1 or options.seconds < LEAST_SECONDS:
        parser.error(f"--rounds is at least 1, --seconds at least {LEAST_SECONDS}")
    return options


def refuse_unknown(parser: argparse.ArgumentParser, names: Sequence[str], known: Collection[str]) -> None:
    """End with the names that there are when one is none of them."""
    for name in names:
        if name not in known:
            parser.error(f"{name!r} is unknown; known are: {', '.join(known)}")


def leave(number: int, frame: FrameType | None) -> None:
    """TERM ends the run as an exception does, so that the servers are ended."""
    raise SystemExit(128 + number)


def main(argv: Sequence[str]) -> int:
    """Returns 0, or 1 when a server could not be measured."""
    options = arguments(argv)
    if options.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name}: {scenario.title}\n    {', '.join(scenario.servers)}")
        return 0
    if options.prepare is not None:
        try:
            print(f"prepared: {environment.prepare(options.prepare.absolute())}")
        except subprocess.CalledProcessError as error:
            print(f"could not prepare {options.prepare}: {error}", file=sys.stderr)
            return 1
        return 0
    if missing := environment.missing_tools():
        print(f"not on PATH: {', '.join(missing)}; install them (Debian: wrk, util-linux)", file=sys.stderr)
        return 1
    try:
        python = environment.interpreter(options.env)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, leave)
    chosen = [SCENARIOS[name] for name in options.scenario or SCENARIOS]
    return 0 if all([run(scenario, python, options) for scenario in chosen]) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
