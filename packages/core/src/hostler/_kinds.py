"""The kinds of value that only single settings of the core have: networks, log levels, file modes, …

What plugins use as well stands in `_fields.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from hostler._fields import Invalid, Kind, choice, integer, texts, words

_LEVELS = {"warn": "warning", "fatal": "critical"}
_log_level = choice("debug", "info", "warning", "error", "critical")


def _level(value: Any) -> str:
    if isinstance(value, str):
        value = _LEVELS.get(value.strip().lower(), value)
    return str(_log_level.convert(value))


log_level = Kind("LEVEL", _level, allowed=_log_level.allowed)


LARGEST_COUNT = 32768
_count = integer(0, LARGEST_COUNT)


def _field_count(value: Any) -> int:
    return int(_count.convert(value)) or LARGEST_COUNT


field_count = Kind("INT", _field_count)
"""How many fields a head may have; 0 is the most there can be, as with gunicorn."""


def _network(text: str) -> str:
    if text in ("*", "unix"):
        return text
    try:
        # Strict: host bits behind the mask are more often a slip than a wish.
        if "/" in text:
            return str(ipaddress.ip_network(text))
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise Invalid(
            f"has {text!r}, which is neither an address, a network such as 10.0.0.0/8, `unix` nor *"
        ) from None


networks = Kind("A,B", lambda value: tuple(_network(part) for part in words.convert(value)))
"""Peers: addresses, networks, `unix`, `*`."""


def _assignments(value: Any) -> tuple[str, ...]:
    parts: tuple[str, ...] = texts.convert(value)
    for part in parts:
        if not re.match(r"[^=\0]+=[^\0]*\Z", part):
            raise Invalid(f"has {part!r}, which is not NAME=VALUE")
    return parts


assignments = Kind("NAME=VALUE", _assignments, "append")

_demand = {"none": 0, "optional": 1, "required": 2, "cert_none": 0, "cert_optional": 1, "cert_required": 2}


def _certificate_demand(value: Any) -> int:
    if isinstance(value, str):
        word = value.strip().lower()
        value = _demand.get(word, int(word) if word.isdigit() else None)
    if isinstance(value, bool) or not isinstance(value, int) or int(value) not in (0, 1, 2):
        raise Invalid("must be 0 (none), 1 (optional) or 2 (required)")
    return int(value)


certificate_demand = Kind("DEMAND", _certificate_demand, allowed=("0", "1", "2"))

_proxy_mode = choice("off", "v1", "v2", "auto")


def _mode_of_proxy(value: Any) -> str:
    # Before gunicorn had modes this was true or false.
    if value is None or value is False or value == "false":
        return "off"
    if value is True or value == "true":
        return "auto"
    return str(_proxy_mode.convert(value))


proxy_mode = Kind("VERSION", _mode_of_proxy, "optional", _proxy_mode.allowed)


def _plugin_name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Invalid("must be the name of an installed one, DIST#NAME, or MODULE:ATTRIBUTE, as text")
    return value.strip()


plugin_name = Kind("NAME", _plugin_name)


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise Invalid("must be a table of header names and values")
    if not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise Invalid("must be a table whose names and values are texts")
    return {k.upper(): v for k, v in value.items()}


headers = Kind("TABLE", _headers)


def _tables(value: Any) -> tuple[Mapping[str, Any], ...]:
    if isinstance(value, Mapping) or not isinstance(value, (list, tuple)):
        raise Invalid("must be a list of tables: [[listen]] in TOML, a list of dictionaries in Python")
    for one in value:
        if not isinstance(one, Mapping) or not all(isinstance(k, str) for k in one):
            raise Invalid("must be a list of tables with texts as keys")
    return tuple(dict(one) for one in value)


tables = Kind("TABLES", _tables)
