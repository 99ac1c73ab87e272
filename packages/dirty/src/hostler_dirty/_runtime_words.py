"""The shared page of a worker, as words of 64 bits: written by the worker, read by the arbiter.

Word 0: CLOCK_MONOTONIC ns of the watcher's last round. Word 1: calls served. Word 2: what calls of late have
usually taken, in ns (0: unknown). Then three words per thread:
id of the running call (0: none), its deadline in ns (0: none), its start in ns. After them two words per thread:
the start of a call that is to be killed because its caller has gone, and since when, in ns.
"""

from __future__ import annotations

import mmap

HEARTBEAT, SERVED, COST, SLOTS = 0, 1, 2, 3


def page_octets(threads: int) -> int:
    """How large the page of a worker with so many threads is."""
    octets = 8 * unwanted(threads, threads)
    return -(-octets // mmap.PAGESIZE) * mmap.PAGESIZE


def unwanted(threads: int, index: int) -> int:
    """The first of the two words of a thread's call that nobody wants."""
    return SLOTS + 3 * threads + 2 * index
