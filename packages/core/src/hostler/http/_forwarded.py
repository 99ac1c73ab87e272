"""Who a trusted proxy says its client is: X-Forwarded-For and Forwarded (RFC 7239), read from the right.

Called only for peers that are trusted; whether they are is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hostler.http._head import Address
from hostler.http._trust import TrustList, address_of

_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?").fullmatch
_DOTTED = re.compile(r"([0-9.]+):([0-9]{1,5})").fullmatch
_PAIR = re.compile(rb"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:\"([^\"\\]*)\"|([^\",; \t]*))[ \t]*([;,]|$)")


def parse_node(text: str) -> Address | None:
    """An address as proxies write it, with or without brackets and port; None for junk and obfuscated names."""
    match = _BRACKETED(text) or _DOTTED(text)
    host, port = (match[1], int(match[2] or 0)) if match is not None else (text, 0)
    address = address_of(host)
    if address is None or port > 65535:
        return None
    return str(address), port


def walk(nodes: Iterable[str], trust: TrustList) -> Address | None:
    """The first node from the right that is no trusted proxy; junk ends the walk at the last good one."""
    client = None
    for text in nodes:
        node = parse_node(text)
        if node is None:
            break
        client = node
        if not trust.names(node[0]):
            break
    return client


def of_x_forwarded_for(value: bytes, trust: TrustList) -> Address | None:
    """The client of an X-Forwarded-For value (several lines joined with commas)."""
    elements = value.decode("latin-1").split(",")
    return walk((element.strip(" \t") for element in reversed(elements)), trust)


def of_forwarded(value: bytes, trust: TrustList) -> tuple[Address | None, list[bytes]]:
    """The client and all `proto` values of a Forwarded value; a malformed one says nothing."""
    elements = _parse_forwarded(value)
    if elements is None:
        return None, []
    nodes = (element.get(b"for", b"").decode("latin-1") for element in reversed(elements))
    return walk(nodes, trust), [element[b"proto"].lower() for element in elements if b"proto" in element]


def _parse_forwarded(value: bytes) -> list[dict[bytes, bytes]] | None:
    elements: list[dict[bytes, bytes]] = []
    element: dict[bytes, bytes] = {}
    position, end = 0, len(value)
    while position < end:
        match = _PAIR.match(value, position)
        if match is None:
            return None
        name = match[1].lower()
        if name in element:
            return None
        element[name] = match[2] if match[2] is not None else match[3]
        position = match.end()
        if match[4] != b";":
            elements.append(element)
            element = {}
    if element:
        elements.append(element)
    return elements
