"""Markdown of a scenario's samples: medians, ranges, ratios to ours, aims, and the conditions."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from measure import Sample
from scenarios import Scenario
from servers import SERVERS

Samples = Mapping[str, Sequence[Sample]]


def render(scenario: Scenario, samples: Samples, notes: Sequence[str], conditions: Sequence[str]) -> str:
    """The whole page of a scenario."""
    parts = [f"# {scenario.name}: {scenario.title}", ""]
    parts += table(scenario, samples)
    if scenario.rate and samples.get(scenario.servers[0]):
        reached = statistics.median(each.rate for each in samples[scenario.servers[0]])
        word = verdict(reached >= scenario.rate)
        parts += ["", f"Aim of the rate: at least {number(scenario.rate)} requests/s, {word}."]
    if notes:
        parts += ["", *(f"- {note}" for note in notes)]
    parts += ["", "## Conditions", "", *(f"- {line}" for line in conditions)]
    parts += [
        "",
        "```",
        *(f"{name}: {SERVERS[name].line(scenario.app, scenario.workers)}" for name in samples),
        "```",
    ]
    return "\n".join(parts) + "\n"


def table(scenario: Scenario, samples: Samples) -> list[str]:
    """A row for each server that was measured, ours first."""
    ours = scenario.servers[0]
    if scenario.memory:
        names = [
            "server",
            "MiB of a worker",
            f"ratio to {ours}",
            "aim",
            "MiB of all processes",
            f"ratio to {ours}",
        ]
    else:
        names = [
            "server",
            "CPU µs/request",
            f"ratio to {ours}",
            "aim",
            "requests/s",
            f"ratio to {ours}",
            "busy",
            "errors",
        ]
    lines = [row(names), row(["---", *["--:"] * (len(names) - 1)])]
    for name, found in samples.items():
        cells = [
            f"**{name}**" if name == ours else name,
            spread(found, cost),
            *compared(scenario, name, samples),
            spread(found, rate),
            times(ratio(samples, name, ours, rate)),
        ]
        if not scenario.memory:
            busy = statistics.median(each.cost * each.rate for each in found) / 1e4
            cells += [f"{busy:.0f} %", str(sum(each.errors for each in found))]
        lines.append(row(cells))
    return lines


def compared(scenario: Scenario, name: str, samples: Samples) -> tuple[str, str]:
    """How many times our cost a server has, and whether that is what was aimed at."""
    found = ratio(samples, name, scenario.servers[0], cost)
    aim = scenario.aims.get(name)
    if aim is None or found is None:
        return times(found), ""
    return times(found), f"≥ {aim:.2f}, {verdict(found >= aim)}"


def ratio(samples: Samples, name: str, ours: str, figure: Callable[[Sample], float]) -> float | None:
    """Median over the rounds of a server's figure divided by ours in the same round."""
    if name == ours or not samples.get(ours):
        return None
    pairs = zip(samples[name], samples[ours], strict=False)
    return statistics.median(figure(theirs) / figure(own) for theirs, own in pairs if figure(own))


def cost(sample: Sample) -> float:
    """The figure of the first column."""
    return sample.cost


def rate(sample: Sample) -> float:
    """The figure of the second column."""
    return sample.rate


def spread(samples: Sequence[Sample], figure: Callable[[Sample], float]) -> str:
    """Median, least and most."""
    values = [figure(each) for each in samples]
    return f"{number(statistics.median(values))} ({number(min(values))}-{number(max(values))})"


def number(value: float) -> str:
    """As many digits as mean something."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def times(value: float | None) -> str:
    """A ratio, or nothing."""
    return "" if value is None else f"{value:.2f}"


def verdict(reached: bool) -> str:
    """A word for an aim."""
    return "reached" if reached else "**missed**"


def row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"
