"""Figures as other programs read them: Prometheus' text, names and values for a statsd, rows for people. Pure.

The text format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text/plain; version 0.0.4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from hostler_dirty._metrics import METRICS, Metric, Row, count_of, quantile

PREFIX = "hostler_dirty_"
DOTTED = "hostler.dirty."
SHARES = (0.5, 0.95, 0.99)


def prometheus(rows: Iterable[Row]) -> str:
    """The text format; every metric has its HELP and TYPE, once, and ends with a line feed."""
    lines: list[str] = []
    for name, group in groupby(sorted(rows, key=lambda row: row[:2]), key=lambda row: row[0]):
        metric = METRICS[name]
        family = f"{PREFIX}{name}"
        lines.append(f"# HELP {family} {_escaped(metric.help, quotes=False)}")
        lines.append(f"# TYPE {family} {metric.kind}")
        for _, values, figures in group:
            labels = list(zip(metric.labels, values, strict=True))
            if metric.kind == "histogram":
                lines.extend(_histogram(family, metric, labels, figures))
            else:
                lines.append(f"{family}{_labels(labels)} {_number(figures[0] * metric.unit)}")
    return "".join(f"{line}\n" for line in lines)


def _histogram(
    family: str, metric: Metric, labels: list[tuple[str, str]], figures: Sequence[int]
) -> Iterator[str]:
    """Buckets are cumulative, and the last one has everything."""
    seen = 0
    bounds = [_number(bound * metric.unit) for bound in metric.bounds]
    for bound, bucket in zip([*bounds, "+Inf"], figures[2:], strict=True):
        seen += bucket
        yield f"{family}_bucket{_labels([*labels, ('le', bound)])} {seen}"
    yield f"{family}_sum{_labels(labels)} {_number(figures[0] * metric.unit)}"
    yield f"{family}_count{_labels(labels)} {seen}"


def _labels(labels: Sequence[tuple[str, str]]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def measures(rows: Iterable[Row]) -> Iterator[tuple[str, float, str]]:
    """(name, value, kind) for `ctx.measure`: labels are parts of the name, a histogram is several figures."""
    for name, labels, figures in rows:
        metric = METRICS[name]
        dotted = ".".join((f"{DOTTED}{name}", *map(_part, labels)))
        if metric.kind != "histogram":
            yield dotted, figures[0], metric.kind
            continue
        yield f"{dotted}.count", count_of(figures), "counter"
        yield f"{dotted}.sum", figures[0] * metric.unit, "counter"
        yield f"{dotted}.max", figures[1] * metric.unit, "gauge"
        for share in SHARES:
            value = quantile(metric.bounds, figures, share) * metric.unit
            yield f"{dotted}.p{share * 100:g}", value, "gauge"


def _part(text: str) -> str:
    """A label's value as one part of a dotted name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text) or "-"


def plain(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One mapping per row, for JSON and tables; what a kind of metric does not have is None."""
    told = []
    for name, values, figures in rows:
        metric = METRICS[name]
        row: dict[str, Any] = {
            "name": f"{PREFIX}{name}",
            "labels": dict(zip(metric.labels, values, strict=True)),
            "kind": metric.kind,
        }
        if metric.kind == "histogram":
            row |= {"value": None, "count": count_of(figures), "sum": figures[0] * metric.unit}
            row["max"] = figures[1] * metric.unit
            row |= {f"p{s * 100:g}": quantile(metric.bounds, figures, s) * metric.unit for s in SHARES}
        else:
            row |= {"value": figures[0], "count": None, "sum": None, "max": None}
            row |= {f"p{share * 100:g}": None for share in SHARES}
        told.append(row)
    return told
