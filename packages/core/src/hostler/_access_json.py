"""The access log's line as a JSON object, one per line; texts are encoded by a JSON encoder and cut."""

from __future__ import annotations

import os
import time
from json.encoder import encode_basestring_ascii as _encode

from hostler._access import HeadCache, Render, Stamp, field_of, protocol_of, user_of
from hostler._contexts import AccessLine
from hostler._escape import LENGTH
from hostler.http import Head


def compile_json() -> Render:
    """A function of one answered request to a JSON object and a line feed."""
    of_head = HeadCache(_of_head)
    stamp = Stamp(_stamp)
    clients: dict[str, str] = {}

    def render(line: AccessLine) -> str:
        client = line.peer[0] if line.peer else ""
        encoded = clients.get(client)
        if encoded is None:
            if len(clients) >= LENGTH:
                clients.clear()
            encoded = clients[client] = quoted(client)
        return (
            f'{{"time":"{stamp()}","client":{encoded},{of_head[line.head]},"status":{line.status},'
            f'"bytes":{line.sent},"seconds":{line.seconds:.6f},"pid":{os.getpid()}}}\n'
        )

    return render


def quoted(text: str) -> str:
    """A JSON string of at most `LENGTH` characters, in ASCII."""
    return _encode(text if len(text) <= LENGTH else text[:LENGTH] + "...")


def _of_head(head: Head) -> str:
    parts = {
        "method": head.method,
        "target": head.target.decode("latin-1"),
        "protocol": protocol_of(head),
        "host": field_of(head, b"host"),
        "referer": field_of(head, b"referer"),
        "user_agent": field_of(head, b"user-agent"),
        "user": user_of(head),
    }
    return ",".join(f'"{name}":{quoted(value)}' for name, value in parts.items())


def _stamp(now: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
