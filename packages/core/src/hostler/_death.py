"""Being told when the parent dies, where the kernel offers it (Linux). Elsewhere children compare parent pids."""

from __future__ import annotations

import ctypes
import sys

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def signal_at_parents_death(number: int) -> bool:
    """Get this signal when the thread that forked this process ends. False where there is no such thing.

    Forgotten at a change of user and at the exec of a set-user-id program.
    """
    return _prctl is not None and bool(_prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) == 0)
