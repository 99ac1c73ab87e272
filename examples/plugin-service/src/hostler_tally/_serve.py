"""The service's process: wait for a question or a wake-up, act, until told to stop."""

from __future__ import annotations

import os
import selectors
import socket

from hostler.errors import HostlerError
from hostler.plugin import ServiceContext

from hostler_tally import Settings


def serve(ctx: ServiceContext, settings: Settings) -> None:
    """Count until the server stops."""
    counters = dict.fromkeys(settings.names, 0)
    # A duplicate, so that closing it here would not close what the next life of the service inherits.
    with socket.socket(fileno=os.dup(ctx.bound.descriptors["socket"])) as sock:
        sock.setblocking(False)
        selector = selectors.DefaultSelector()
        selector.register(sock, selectors.EVENT_READ)
        selector.register(ctx.wakeup, selectors.EVENT_READ)
        ctx.ready(f"{len(counters)} counters")
        while not ctx.stopping:
            ctx.beat()
            for key, _ in selector.select(1.0):
                if key.fd == ctx.wakeup:
                    ctx.turn()
                else:
                    answer(sock, counters)
            if ctx.reloading:
                reload(ctx, counters)


def reload(ctx: ServiceContext, counters: dict[str, int]) -> None:
    """HUP: the counters that are named now; those that stay keep their values."""
    ctx.reloading = False
    try:
        names = ctx.reread().names
    except HostlerError as error:
        ctx.log.error("tally: %s; the counters stay as they are", error)
        return
    for name in set(counters) - set(names):
        del counters[name]
    for name in names:
        counters.setdefault(name, 0)
    ctx.report(f"{len(counters)} counters")


def answer(sock: socket.socket, counters: dict[str, int]) -> None:
    """One question; its asker may have gone."""
    try:
        name, asker = sock.recvfrom(256)
        key = name.decode(errors="replace")
        if key in counters:
            counters[key] += 1
        sock.sendto(str(counters.get(key, "")).encode() or b"?", asker)
    except OSError:
        return
