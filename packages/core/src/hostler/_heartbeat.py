"""One page of shared memory in which every child tells the arbiter that it lives, and what it is doing.

Made before the first fork and inherited by all. A field is eight octets, aligned, with one writer, so no
reader ever sees half of one; only the status text may be caught half-written. Times are `time.monotonic()`,
which is the same clock in all processes of a machine. Refuses to know processes: a slot is a number.
"""

from __future__ import annotations

import math
import mmap

SLOTS = 1024
"""Children that one server can have at once, old generations and services included."""

READY, LEAVING, CHANGED = 1, 2, 4
"""Flags of a child: it serves; it asks to be replaced; a source file changed (development)."""

ABSENT = 1 << 62
"""The load of a slot that takes no connections, greater than any real one."""

_TEXT = 192
_FIELDS = ("deadline", "flags", "requests", "active", "load")


class Page:
    """The shared page, as columns: the numbers of one kind stand side by side, which makes them quick to scan."""

    __slots__ = ("_header", "_memory", "_texts", "active", "deadline", "flags", "load", "requests")

    def __init__(self) -> None:
        column = SLOTS * 8
        self._memory = mmap.mmap(-1, column * len(_FIELDS) + 64 + SLOTS * _TEXT)
        whole = memoryview(self._memory)
        columns = [whole[i * column : (i + 1) * column] for i in range(len(_FIELDS))]
        self.deadline = columns[0].cast("d")
        """When the child is to be taken for stuck; infinite: never."""
        self.flags = columns[1].cast("q")
        self.requests = columns[2].cast("q")
        self.active = columns[3].cast("q")
        self.load = columns[4].cast("q")
        """Connections that a serving worker holds; `ABSENT` for all others."""
        start = column * len(_FIELDS)
        self._header = whole[start : start + 64].cast("q")
        self._texts = whole[start + 64 :]
        for slot in range(SLOTS):
            self.clear(slot)

    def clear(self, slot: int, deadline: float = math.inf) -> None:
        """Make a slot ready for its next child."""
        self.deadline[slot] = deadline
        self.flags[slot] = 0
        self.requests[slot] = 0
        self.active[slot] = 0
        self.load[slot] = ABSENT
        self.say(slot, "")

    @property
    def used(self) -> int:
        """Slots below this number may be in use; the arbiter sets it."""
        return self._header[0]

    @used.setter
    def used(self, count: int) -> None:
        self._header[0] = count

    @property
    def told(self) -> int:
        """The generation whose failure to boot has been told in full: many workers fail with one traceback."""
        return self._header[1]

    @told.setter
    def told(self, generation: int) -> None:
        self._header[1] = generation

    def raise_flag(self, slot: int, flag: int) -> None:
        """Set a flag of the caller's own slot."""
        self.flags[slot] |= flag

    def say(self, slot: int, text: str) -> None:
        """One line of status, cut to what fits."""
        octets = text.encode(errors="replace")[: _TEXT - 1]
        start = slot * _TEXT
        self._texts[start + 1 : start + 1 + len(octets)] = octets
        self._texts[start] = len(octets)

    def said(self, slot: int) -> str:
        """The last line of status."""
        start = slot * _TEXT
        return bytes(self._texts[start + 1 : start + 1 + self._texts[start]]).decode(errors="replace")

    def fewest_elsewhere(self, slot: int) -> int:
        """The least load among the other serving workers; -1 when there is none."""
        used = self._header[0]
        fewest = ABSENT
        for other in (self.load[:slot], self.load[slot + 1 : used]):
            if len(other):
                fewest = min(fewest, min(other))
        return -1 if fewest == ABSENT else fewest


class SlotStatus:
    """One worker's view of the page: its counters, which the driver sets."""

    __slots__ = ("_active", "_load", "_page", "_requests", "_slot")

    def __init__(self, page: Page, slot: int) -> None:
        self._page, self._slot = page, slot
        self._requests, self._active, self._load = page.requests, page.active, page.load

    @property
    def requests(self) -> int:
        return self._requests[self._slot]

    @requests.setter
    def requests(self, count: int) -> None:
        self._requests[self._slot] = count

    @property
    def active(self) -> int:
        return self._active[self._slot]

    @active.setter
    def active(self, count: int) -> None:
        self._active[self._slot] = count

    @property
    def connections(self) -> int:
        load = self._load[self._slot]
        return 0 if load == ABSENT else load

    @connections.setter
    def connections(self, count: int) -> None:
        # A worker that is not ready yet, or leaves, is no one to whom others should leave connections.
        if self._load[self._slot] != ABSENT:
            self._load[self._slot] = count

    def fewest_elsewhere(self) -> int:
        """The least number of connections that another serving worker holds; -1 when there is none."""
        return self._page.fewest_elsewhere(self._slot)
