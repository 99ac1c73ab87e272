"""Monkey-patching, first thing in the child."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import hostler.drive  # noqa: F401 - what the loop uses is bound before it is replaced


def prepare(settings: Any) -> None:
    """Make the standard library cooperative; says so when modules that matter were imported before."""
    del settings
    from gevent import monkey  # noqa: PLC0415 - importing it is what must come after the loop's own imports

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)
        monkey.patch_all()
    early = sorted({"requests", "urllib3", "django", "flask", "psycopg", "psycopg2"} & set(sys.modules))
    if early:
        warnings.warn(
            f"imported before gevent could make the standard library cooperative: {', '.join(early)}; "
            "with preload_app call gevent.monkey.patch_all() first thing in the configuration file",
            RuntimeWarning,
            stacklevel=2,
        )
