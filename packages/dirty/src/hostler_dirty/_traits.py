"""What the class attributes of apps ask for: checked one by one, and joined where apps share a worker.

Pure: values as `_app.describe` gives them, no process and no class.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hostler_dirty._settings import DirtySettings
from hostler_dirty.errors import DirtyConfigError

START_FIRST, STOP_FIRST = "start-first", "stop-first"

Infos = Mapping[str, Mapping[str, Any]]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _count(value: Any) -> bool:
    return value is None or (_whole(value) and value >= 0)


def _seconds(value: Any) -> bool:
    return (_whole(value) or isinstance(value, float)) and value >= 0


def _cpus(value: Any) -> bool:
    present = os.cpu_count() or 1
    return value is None or (
        isinstance(value, (list, tuple, set))
        and len(value) > 0
        and all(_whole(cpu) and 0 <= cpu < present for cpu in value)
    )


def _texts(value: Any) -> bool:
    return isinstance(value, (list, tuple, set)) and all(isinstance(item, str) for item in value)


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "workers": (lambda v: v is None or (_whole(v) and v >= 1), "None or a whole number from 1"),
    "timeout": (lambda v: v is None or _seconds(v), "None or seconds from 0"),
    "init_timeout": (_seconds, "seconds from 0"),
    "cancel_grace": (_seconds, "seconds from 0"),
    "max_queue": (_count, "None or a whole number from 0"),
    "max_queue_wait": (lambda v: v is None or _seconds(v), "None or seconds from 0"),
    "no_worker_wait": (_seconds, "seconds from 0"),
    "max_requests": (_count, "None or a whole number from 0"),
    "max_requests_jitter": (_count, "None or a whole number from 0"),
    "max_rss": (_count, "None or octets from 0"),
    "resources": (
        lambda v: (
            isinstance(v, dict) and all(isinstance(n, str) and _whole(c) and c >= 0 for n, c in v.items())
        ),
        "a dictionary of names and whole numbers, such as {'gpu': 1}",
    ),
    "dedicated": (lambda v: isinstance(v, bool), "True or False"),
    "memory": (lambda v: _seconds(v) and v > 0, "a number above 0"),
    "codec": (lambda v: v is None or (isinstance(v, str) and bool(v)), "None or the name of a codec"),
    "env": (
        lambda v: (
            isinstance(v, dict) and all(isinstance(n, str) and isinstance(t, str) for n, t in v.items())
        ),
        "a dictionary of texts",
    ),
    "nice": (lambda v: _whole(v) and -20 <= v <= 19, "a whole number from -20 to 19"),
    "cpu_affinity": (_cpus, "None or a list of CPUs that this machine has"),
    "stashes": (_texts, "a list of names"),
    "reload": (lambda v: v in (START_FIRST, STOP_FIRST), f"'{START_FIRST}' or '{STOP_FIRST}'"),
    "kill_on_cancel": (lambda v: isinstance(v, bool), "True or False"),
}


def check(path: str, info: Mapping[str, Any]) -> None:
    """Raises DirtyConfigError, with one line that names the attribute, its value and what it may be."""
    for name, (good, wanted) in _RULES.items():
        if name in info and not good(info[name]):
            raise DirtyConfigError(f"{path}.{name} is {info[name]!r}; it must be {wanted}")


def _values(apps: Sequence[str], infos: Infos, name: str) -> list[Any]:
    """What those of the apps say that say anything."""
    return [value for app in apps if (value := infos.get(app, {}).get(name)) is not None]


def environment(apps: Sequence[str], infos: Infos) -> dict[str, str]:
    """Of the worker that hosts these apps; of two that name a variable the later one counts."""
    joined: dict[str, str] = {}
    for env in _values(apps, infos, "env"):
        joined.update(env)
    return joined


def nice(apps: Sequence[str], infos: Infos) -> int:
    """The most modest of them decides."""
    return max((value for value in _values(apps, infos, "nice") if value), default=0)


def affinity(apps: Sequence[str], infos: Infos) -> list[int]:
    """All CPUs that any of them names; none: no app names any."""
    return sorted({cpu for cpus in _values(apps, infos, "cpu_affinity") for cpu in cpus})


def served_limit(apps: Sequence[str], infos: Infos, settings: DirtySettings) -> int:
    """After how many calls the worker is to be replaced, drawn within the jitter; 0: never."""
    limits = []
    for app in apps:
        info = infos.get(app, {})
        most, jitter = info.get("max_requests"), info.get("max_requests_jitter")
        most = settings.max_requests if most is None else most
        if most:
            limits.append(
                most + random.randint(0, settings.max_requests_jitter if jitter is None else jitter)
            )
    return min(limits, default=0)


def rss_limit(apps: Sequence[str], infos: Infos, settings: DirtySettings) -> int:
    """Resident octets beyond which the worker is to be replaced; 0: none."""
    said = [infos.get(app, {}).get("max_rss") for app in apps]
    return min((most for v in said if (most := settings.max_rss if v is None else v)), default=0)


def stops_first(apps: Sequence[str], infos: Infos) -> bool:
    """One of them does not fit into the machine twice."""
    return STOP_FIRST in _values(apps, infos, "reload")
