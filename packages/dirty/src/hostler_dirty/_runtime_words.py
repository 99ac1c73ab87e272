"""The shared page of a worker, as words of 64 bits: written by the worker, read by the arbiter.

Word 0: CLOCK_MONOTONIC ns of the watcher's last round. Word 1: calls served. Word 2: what calls of late have
usually taken, in ns (0: unknown). Then three words per thread:
id of the running call (0: none), its deadline in ns (0: none), its start in ns.
"""

from __future__ import annotations

import mmap

HEARTBEAT, SERVED, COST, SLOTS = 0, 1, 2, 3


def page_octets(threads: int) -> int:
    """How large the page of a worker with so many threads is."""
    octets = 8 * (SLOTS + 3 * threads)
    return -(-octets // mmap.PAGESIZE) * mmap.PAGESIZE
