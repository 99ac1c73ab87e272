"""The Date field's line (RFC 9110 section 6.6.1), rendered once a second.

The one place of the request tower that looks at a clock, and only to print it: no deadline is made here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def imf_fixdate(seconds: int) -> bytes:
    """Seconds of the epoch as RFC 9110 section 5.6.7 writes them, whatever the locale."""
    t = time.gmtime(seconds)
    return b"%s, %02d %s %04d %02d:%02d:%02d GMT" % (
        _DAYS[t.tm_wday],
        t.tm_mday,
        _MONTHS[t.tm_mon - 1],
        t.tm_year,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
    )


class DateLine:
    """Tells the second and the Date value that goes with it. `clock` returns seconds of the epoch."""

    __slots__ = ("clock", "second", "value")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        """Seconds of the epoch, for those who look whether a second has passed."""
        self.second = -1
        """The second that `value` is for."""
        self.value = b""
        """The Date field's value."""

    def tick(self) -> int:
        """Look at the clock, renew `value` if another second has come, and return the second."""
        now = int(self.clock())
        if now != self.second:
            self.second = now
            self.value = imf_fixdate(now)
        return now
